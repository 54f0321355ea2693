"""/openapi.json, made from the table of routes itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from edgeproof._version import __version__
from edgeproof.serve.endpoints import Endpoint

_PARAMETER = re.compile(r"{(\w+)}")
_REFUSALS = {
    "400": "The request can't be understood.",
    "401": "A key is needed.",
    "403": "It may not.",
    "404": "There is no such thing.",
    "408": "The body came too slowly.",
    "413": "Too large.",
    "415": "Not a kind that is taken.",
    "422": "A picture that can't be decoded.",
    "429": "This key has too much under way.",
    "507": "The disk is full; nothing was changed.",
    "503": "Not now; come again after Retry-After seconds.",
}
_EVERYWHERE = ("401", "403", "503")
_WITH_BODY = ("400", "408", "413", "415", "422", "429")
_ERROR = {
    "type": "object",
    "required": ["code", "message", "details"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "details": {"type": "object"}},
}


def describe(endpoints: Iterable[Endpoint], *, open_to_all: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, open_to_all)
    schemas = {
        "Error": _ERROR,
        "Refusal": {
            "type": "object",
            "required": ["error", "request_id"],
            "properties": {"error": {"$ref": "#/components/schemas/Error"}, "request_id": {"type": "string"}},
        },
        # The protocol wants a text under `error`.
        "ProtocolRefusal": {
            "type": "object",
            "required": ["error", "request_id"],
            "properties": {
                "error": {"type": "string"},
                "code": {"type": "string"},
                "details": {"type": "object"},
                "request_id": {"type": "string"},
            },
        },
    }
    components: dict[str, Any] = {"schemas": schemas}
    if not open_to_all:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgeproof serve", "version": __version__},
        "paths": paths,
        "components": components,
    }


def _operation(endpoint: Endpoint, open_to_all: bool) -> dict[str, Any]:
    in_path = _PARAMETER.findall(endpoint.path)
    refusals = {
        *_EVERYWHERE,
        *(_WITH_BODY if endpoint.body else ()),
        *(("404",) if in_path else ()),
        *endpoint.refusals,
    }
    name = "ProtocolRefusal" if endpoint.protocol else "Refusal"
    schema = {"$ref": f"#/components/schemas/{name}"}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "responses": {
            **endpoint.answers,
            **{
                status: {
                    "description": _REFUSALS[status],
                    "content": {"application/json": {"schema": schema}},
                }
                for status in sorted(refusals)
            },
        },
    }
    known = endpoint.parameters
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": known.get(name, {"type": "string"})}
        for name in in_path
    ] + [{"name": name, "in": "query", "schema": known[name]} for name in known if name not in in_path]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body:
        operation["requestBody"] = endpoint.body
    if endpoint.scope and not open_to_all:
        operation["security"] = [{"key": []}]
    return operation
