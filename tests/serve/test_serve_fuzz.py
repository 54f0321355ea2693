"""Whatever comes over the line: never a 500, never a traceback, always one of our answers; in real processes.

With `test_serve_fuzz_openapi` these are more than 5,000 cases, the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from imaging.picture_files import FORMATS, bomb, encode, scene
from serve.fuzzed_server import FuzzedServer, fuzz

# Those that run a network take longest, those that are no HTTP least.
CASES = {"forms": 600, "pictures": 400, "tensors": 800, "requests": 1600, "streams": 1700}
PICTURES = [encode(scene(), kind) for kind in FORMATS]
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\nContent-Type: image/jpeg\r\n\r\n'
    + PICTURES[0]
    + b"\r\n--b--\r\n"
)
KINDS = [
    b"multipart/form-data; boundary=b", b"multipart/form-data", b"multipart/form-data; boundary=",
    b'multipart/form-data; boundary="b"', b"multipart/form-data; boundary*=utf-8''b", b"image/jpeg",
    b"application/octet-stream", b"application/json", b"", b"\xff\xfe", b"multipart/form-data; boundary=\xff",
]  # fmt: skip


def _damaged(whole: bytes, hits: bytes) -> bytes:
    """Cut, filled and overwritten as `hits` says: five bytes for each place. (One draw: many small ones are slow.)"""
    data = bytearray(whole)
    for row in (hits[start : start + 5] for start in range(0, len(hits) - 4, 5)):
        at = (row[0] << 8 | row[1]) % (len(data) + 1)
        data[at : at + row[2] % 40] = row[3:] * (row[2] >> 6)
    return bytes(data)


hits = st.binary(max_size=20)


def _chunked(body: bytes, at: list[int]) -> bytes:
    """The body in pieces that end at these places."""
    places = sorted({place % (len(body) + 1) for place in at} | {0, len(body)})
    return b"".join(b"%x\r\n%s\r\n" % (b - a, body[a:b]) for a, b in pairwise(places)) + b"0\r\n\r\n"


def test_forms(fuzzed: FuzzedServer) -> None:
    paths = st.sampled_from([b"/predict", b"/v1/orientation"])
    cuts = st.binary(max_size=4).map(lambda data: [byte * 37 for byte in data])

    def one(drawn: tuple[bytes, bytes, bytes, bytes]) -> None:
        changes, kind, at, path = drawn
        headers = [(b"content-type", kind), (b"transfer-encoding", b"chunked")]
        fuzzed.ask("POST", path, headers, _chunked(_damaged(FORM, changes), at))

    assert fuzz(st.tuples(hits, st.sampled_from(KINDS), cuts, paths), one, CASES["forms"]) >= CASES["forms"]


def test_pictures(fuzzed: FuzzedServer) -> None:
    accept = st.sampled_from([b"image/jpeg", b"*/*", b"application/json"])

    def one(drawn: tuple[bytes, bytes, bytes]) -> None:
        picture, changes, accepted = drawn
        body = _damaged(picture, changes)
        headers = [(b"content-type", b"image/png"), (b"content-length", b"%d" % len(body))]
        fuzzed.ask("POST", b"/predict", [*headers, (b"accept", accepted)], body)

    assert (
        fuzz(st.tuples(st.sampled_from(PICTURES), hits, accept), one, CASES["pictures"]) >= CASES["pictures"]
    )


ODD = st.sampled_from([None, True, 0, -1, 2**70, 0.5, 1e308, "", "x", [], {}, [[1], [1, 2]], {"a": None}])
SIZES = st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**70]), max_size=3)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c"]) | ODD,
        "shape": st.sampled_from([[1, 2], [2, 2], [1], [2]]) | SIZES | ODD,
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES"]) | ODD,
    },
    optional={
        "data": st.lists(st.sampled_from([0, 1, -1, 1.5, 2**63, None, "1"]), max_size=4) | ODD,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.sampled_from([0, 8, 16]) | ODD}) | ODD,
    },
)
inferences = st.fixed_dictionaries(
    {"inputs": st.lists(tensors, max_size=3) | ODD},
    optional={
        "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["y", "z"]) | ODD}), max_size=2) | ODD,
        "id": ODD,
        "parameters": ODD,
    },
)  # fmt: skip


def test_tensors(fuzzed: FuzzedServer) -> None:
    behind = st.sampled_from([b"", b"abcd", b"\0" * 8, b"\xff" * 24])
    lengths = st.none() | st.just("true") | st.integers(-5, 2000)

    def one(drawn: tuple[Any, bytes, Any]) -> None:
        document, tail, length = drawn
        text = json.dumps(document).encode()
        headers = [(b"content-length", b"%d" % (len(text) + len(tail)))]
        if length is not None:
            stated = len(text) if length == "true" else length
            headers.append((b"inference-header-content-length", b"%d" % stated))
        fuzzed.ask("POST", b"/v2/models/two/infer", headers, text + tail)

    assert fuzz(st.tuples(inferences, behind, lengths), one, CASES["tensors"]) >= CASES["tensors"]


PATHS = [
    b"/", b"/predict", b"/v1/orientation", b"/v1/attributes", b"/v1/compare", b"/v1/detect", b"/v2", b"/healthz",
    b"/v2/models/orientation", b"/v2/models/x/versions/1/infer", b"/metrics", b"/openapi.json", b"/status",
    b"/v2/health/live", b"/v2/models//infer", b"//", b"/v1/", b"/%2e%2e/x", b"/v2/models/%00/ready", b"/?x=%ff",
    b"/v2/models/%ff%fe/infer", b"*", b"http://localhost/healthz", b"/v2/models/" + b"x" * 9000,
]  # fmt: skip
HEADERS = [
    b"content-type", b"host", b"accept", b"authorization", b"x-api-key", b"x-request-id", b"expect",
    b"sec-fetch-site", b"content-encoding", b"inference-header-content-length", b"cookie", b"range", b"x",
]  # fmt: skip
# What RFC 9110 allows in a value (5.5): anything but controls; other bytes are for `test_no_http`.
values = st.binary(max_size=20).map(lambda data: bytes(b for b in data if b >= 32 and b != 127).strip())
lines = st.tuples(st.sampled_from(HEADERS), values)


def test_any_request(fuzzed: FuzzedServer) -> None:
    methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"])
    bodies = st.sampled_from([b"", b"{}", FORM, b"\xff" * 30])

    def one(drawn: tuple[str, bytes, Any, Any, bytes]) -> None:
        method, path, first, second, body = drawn
        fuzzed.ask(method, path, [(b"content-length", b"%d" % len(body)), first, second], body)

    assert (
        fuzz(st.tuples(methods, st.sampled_from(PATHS), lines, lines, bodies), one, CASES["requests"])
        >= CASES["requests"]
    )


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
STREAMS = [
    HEAD % len(PICTURES[1]) + PICTURES[1],
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3,
    b"POST /v1/orientation HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + _chunked(FORM, [10, 200]),
]


def test_no_http(fuzzed: FuzzedServer) -> None:
    def one(drawn: tuple[bytes, bytes, bytes]) -> None:
        stream, changes, before = drawn
        came = fuzzed.client.throw(before + _damaged(stream, changes))
        assert came == b"" or came.startswith(b"HTTP/1.1 "), came[:300]
        assert b"HTTP/1.1 5" not in came
        assert b"Traceback" not in came

    start = st.sampled_from([b"", b"", b"\r\n", b"\x16\x03\x01", b"\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
    assert fuzz(st.tuples(st.sampled_from(STREAMS), hits, start), one, CASES["streams"]) >= CASES["streams"]


def _spoilt() -> Iterator[tuple[str, bytes]]:
    for kind in FORMATS:
        whole = encode(scene(320, 240), kind)
        for share in (0, 0.01, 0.1, 0.5, 0.9):
            yield f"{kind} cut at {share:.0%}", whole[: int(len(whole) * share)]
        yield f"{kind} without its last byte", whole[:-1]
        yield (
            f"{kind} with zeros",
            whole[: len(whole) // 3] + bytes(len(whole) // 3) + whole[len(whole) // 3 * 2 :],
        )
        yield f"{kind} with ones", whole[:40] + b"\xff" * (len(whole) - 40)
        yield f"{kind} twice", whole + whole
        yield f"{kind} that claims 100,000 x 100,000", bomb(kind)


SPOILT = dict(_spoilt())


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_pictures_of_each_format(fuzzed: FuzzedServer, name: str) -> None:
    body = SPOILT[name]
    answer = fuzzed.ask(
        "POST", b"/predict", [(b"content-type", b"image/x"), (b"content-length", b"%d" % len(body))], body
    )
    if "claims" in name:
        assert answer.status == 413
    elif "cut at" in name:
        assert answer.status in (400, 415, 422), answer.body  # 400: nothing is left of it
    else:
        assert answer.status in (200, 413, 415, 422)


def test_a_body_without_a_length_is_no_body(fuzzed: FuzzedServer) -> None:
    answer = fuzzed.ask("POST", b"/predict", [(b"content-type", b"image/png")], PICTURES[1])
    fuzzed.client.close()  # what was sent behind it would count as the next request
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "no_image")


def test_it_is_well_after_all_that(fuzzed: FuzzedServer) -> None:
    fuzzed.is_well()
