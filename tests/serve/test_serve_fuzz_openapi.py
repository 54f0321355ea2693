"""What /openapi.json says, tried by a program that knows nothing else: every route answers as it is described."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from imaging.picture_files import FORMATS, encode, scene
from serve.fuzzed_server import FuzzedServer, fuzz

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis makes the requests (extra `test`)")
CASES = 24
BINARY = st.sampled_from([encode(scene(), kind) for kind in FORMATS]) | st.binary(max_size=200)


def _checks() -> list[Any]:
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as described

    return [
        checks.not_a_server_error,
        described.status_code_conformance,
        described.content_type_conformance,
        described.response_headers_conformance,
        described.response_schema_conformance,
    ]


def _operations(document: dict[str, Any]) -> list[Any]:
    schemathesis.openapi.format("binary", BINARY)
    return [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]


def _requests(operation: Any) -> st.SearchStrategy[Any]:
    """Requests that are as described, and others that are not."""
    modes = schemathesis.GenerationMode
    return operation.as_strategy(modes.POSITIVE) | operation.as_strategy(modes.NEGATIVE)


def test_every_route_does_as_it_is_described(fuzzed: FuzzedServer) -> None:
    import requests

    document = httpx.get(f"{fuzzed.server.url}/openapi.json").json()
    tried: dict[str, int] = {}
    checks = _checks()
    with requests.Session() as session:
        for operation in _operations(document):

            def one(case: Any) -> None:
                answer = case.call(base_url=fuzzed.server.url, session=session, timeout=30)
                case.validate_response(answer, checks=checks)

            tried[operation.label] = fuzz(_requests(operation), one, CASES)
    assert len(tried) == sum(map(len, document["paths"].values()))
    assert all(tried[label] >= CASES for label in tried if label.startswith("POST"))


def test_it_is_well_after_all_that(fuzzed: FuzzedServer) -> None:
    fuzzed.is_well()
