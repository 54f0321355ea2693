"""Whatever comes over the line: never a 500, never a traceback, always one of our answers."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproof.serve.app import App
from imaging.picture_files import FORMATS, encode, scene
from serve.fake_pool import FakePool, make_app

PICTURES = [encode(scene(), kind) for kind in FORMATS]
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\nContent-Type: image/jpeg\r\n\r\n'
    + PICTURES[0]
    + b"\r\n--b--\r\n"
)
EXPECTED = {200, 400, 403, 404, 405, 413, 415, 422}
ONE_LOOP = asyncio.new_event_loop()
_MADE: list[App] = []


def _app() -> App:
    if not _MADE:
        _MADE.append(make_app(FakePool()))
    return _MADE[0]


def _send(
    method: str, path: str, headers: list[tuple[bytes, bytes]], pieces: list[bytes]
) -> tuple[int, bytes]:
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(errors="replace"), "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers], "root_path": "", "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    coming = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ] + [{"type": "http.request", "body": b"", "more_body": False}]  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    ONE_LOOP.run_until_complete(_app()(scope, receive, send))
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


def _check(status: int, body: bytes) -> None:
    assert status in EXPECTED, (status, body[:300])
    assert b"Traceback" not in body
    if status != 200:
        document = json.loads(body)
        assert document["request_id"]
        assert document["error"]


def _cut(body: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(body) + 1) for place in at} | {0, len(body)})
    return [body[a:b] for a, b in pairwise(places)]


@st.composite
def damaged(draw: Any, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.binary(max_size=12))
        data[at : at + draw(st.integers(0, 40))] = what
    return bytes(data)


many = settings(
    max_examples=1300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
kinds = st.sampled_from(
    [
        b"multipart/form-data; boundary=b", b"multipart/form-data", b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary="b"', b"multipart/form-data; boundary*=utf-8''b", b"image/jpeg",
        b"application/octet-stream", b"application/json", b"", b"\xff\xfe", b"multipart/form-data; boundary=\xff",
    ]
)  # fmt: skip


@many
@given(
    damaged(FORM),
    kinds,
    st.lists(st.integers(0, 5000), max_size=4),
    st.sampled_from(["/predict", "/v1/orientation"]),
)
def test_forms(body: bytes, kind: bytes, cuts: list[int], path: str) -> None:
    _check(
        *_send("POST", path, [(b"content-type", kind), (b"transfer-encoding", b"chunked")], _cut(body, cuts))
    )


@many
@given(
    st.sampled_from(PICTURES).flatmap(damaged), st.sampled_from([b"image/jpeg", b"*/*", b"application/json"])
)
def test_pictures(body: bytes, accept: bytes) -> None:
    headers = [(b"content-type", b"image/png"), (b"content-length", b"%d" % len(body)), (b"accept", accept)]
    _check(*_send("POST", "/predict", headers, [body]))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["input", "x", ""]) | anything,
        "shape": st.lists(st.sampled_from([0, 1, 3, 192, -1, 2**70]), max_size=6) | anything,
        "datatype": st.sampled_from(["FP32", "INT8", "BOOL", "BYTES"]) | anything,
    },
    optional={
        "data": anything | st.lists(st.floats(allow_nan=False), max_size=6),
        "parameters": st.fixed_dictionaries({"binary_data_size": anything | st.sampled_from([0, 4, 442368])})
        | anything,
    },
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(tensors, max_size=3) | anything},
    optional={
        "outputs": st.lists(st.fixed_dictionaries({"name": st.just("logits") | anything}), max_size=2)
        | anything,
        "id": anything,
        "parameters": anything,
    },
)
BYTES = np.zeros(3 * 192 * 192, np.float32).tobytes()


@many
@given(requests, st.sampled_from([b"", b"abcd", BYTES]), st.none() | st.integers(-5, 2000), st.booleans())
def test_tensors(request: Any, behind: bytes, length: int | None, exact: bool) -> None:
    text = json.dumps(request).encode()
    stated = len(text) if exact else length
    headers = [] if stated is None else [(b"inference-header-content-length", str(stated).encode())]
    body = text + behind
    headers.append((b"content-length", b"%d" % len(body)))
    _check(*_send("POST", "/v2/models/orientation/infer", headers, [body]))


names = st.sampled_from(
    ["content-length", "content-type", "host", "accept", "authorization", "x-api-key", "x-request-id", "expect",
     "transfer-encoding", "sec-fetch-site", "content-encoding", "inference-header-content-length"]
)  # fmt: skip
paths = st.sampled_from(
    ["/", "/predict", "/v1/orientation", "/v2", "/v2/models/orientation", "/v2/models/x/versions/1/infer", "/healthz",
     "/metrics", "/openapi.json", "/status", "/v2/health/live", "/v2/models//infer", "//", "/v1/", "/%2e%2e/x"]
) | st.text(max_size=20).map(lambda text: "/" + text)  # fmt: skip


@many
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]),
    paths,
    st.lists(st.tuples(names.map(str.encode), st.binary(max_size=30)), max_size=4),
    st.binary(max_size=50),
)
def test_any_request(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    status, answer = _send(method, path, headers, [body])
    if method == "HEAD":
        return
    _check(status, answer)
