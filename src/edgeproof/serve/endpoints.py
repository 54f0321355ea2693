"""What a route is; the table of all of them is in `routes`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edgeproof.serve.service import Service

Handler: TypeAlias = Callable[[Service, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """One route.

    Attributes:
        method, path: path parameters in braces.
        handler: what answers.
        scope: what a key must have; "" for everybody.
        summary: one line for /openapi.json.
        bounded: it counts as a request that takes one of the places.
        protocol: an answer of the Open Inference Protocol, whose `error` is a text.
        parameters: JSON schemas of what the query may have, and of path parameters that are more than a text.
        refusals: statuses of errors beside those that every route of its kind has.
        body: the `requestBody` of /openapi.json.
        answers: the `responses` by status, beside the errors, which all have.
    """

    method: str
    path: str
    handler: Handler
    scope: str
    summary: str
    bounded: bool = False
    protocol: bool = False
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refusals: Sequence[str] = ()
    body: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)


class Json(Response):
    """A JSON document."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """As bytes."""
        return msgspec.json.encode(content)
