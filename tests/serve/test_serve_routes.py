"""What each route answers, in front of workers that are played."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from edgeproof.serve.access import Access, read_keys
from imaging.picture_files import FORMATS, bomb, encode, scene, with_exif
from serve.fake_pool import FakePool, ask, make_app

PHOTO = encode(scene(320, 240), "JPEG")


def _files(*pictures: bytes, field: str = "image") -> list[tuple[str, tuple[str, bytes, str]]]:
    return [(field, ("p.jpg", picture, "image/jpeg")) for picture in pictures]


@pytest.mark.parametrize("kind", FORMATS)
def test_predict_answers_every_format(kind: str) -> None:
    answer = ask(make_app(), "POST", "/predict", files=_files(encode(scene(320, 240), kind)))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["width"], document["height"], document["task"]) == (320, 240, "orientation")
    assert set(document["result"]["probabilities"]) == {"0", "90", "180", "270"}
    assert document["request_id"] == answer.headers["x-request-id"]


def test_a_picture_may_be_the_body_itself() -> None:
    app = make_app()
    form = ask(app, "POST", "/predict", files=_files(PHOTO)).json()["result"]
    bare = ask(app, "POST", "/predict", content=PHOTO, headers={"content-type": "image/jpeg"}).json()[
        "result"
    ]
    assert bare == form


def test_exif_orientation_is_applied() -> None:
    document = ask(make_app(), "POST", "/predict", files=_files(with_exif("JPEG", 6))).json()
    assert (document["width"], document["height"], document["result"]["exif_orientation"]) == (48, 64, 6)


def test_the_drawn_picture_on_request() -> None:
    answer = ask(make_app(), "POST", "/predict", files=_files(PHOTO), headers={"accept": "image/jpeg"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")


def test_several_pictures_fail_one_by_one() -> None:
    answer = ask(
        make_app(), "POST", "/v1/orientation", files=_files(PHOTO, b"no picture", PHOTO, PHOTO[:900])
    )
    assert answer.status_code == 200
    rows = answer.json()["images"]
    assert [row["error"] and row["error"]["code"] for row in rows] == [
        None,
        "not_an_image",
        None,
        "truncated_image",
    ]
    assert rows[0]["result"] == rows[2]["result"]
    assert rows[1]["result"] is None


BAD = [
    ("no field of that name", {"files": _files(PHOTO, field="picture")}, 400, "no_image"),
    ("nothing at all", {}, 415, "unsupported_type"),
    ("text", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "unsupported_type"),
    ("an empty body", {"content": b"", "headers": {"content-type": "image/jpeg"}}, 400, "no_image"),
    ("an empty file", {"files": _files(b"")}, 415, "not_an_image"),
    ("no picture", {"files": _files(b"GIF89 or so")}, 415, "not_an_image"),
    ("cut short", {"files": _files(PHOTO[: len(PHOTO) // 2])}, 422, "truncated_image"),
    ("a JPEG bomb", {"files": _files(bomb("JPEG"))}, 413, "image_too_large"),
    ("a PNG bomb", {"files": _files(bomb("PNG"))}, 413, "image_too_large"),
    (
        "a PNG larger than the memory",
        {"files": _files(encode(scene(4000, 3000), "PNG"))},
        413,
        "needs_memory",
    ),
    ("11 MB", {"files": _files(b"\xff" * 11_000_000)}, 413, "too_large"),
    ("two pictures", {"files": _files(PHOTO, PHOTO)}, 400, "one_image"),
    ("33 parts", {"files": _files(*[b"x"] * 33)}, 413, "too_large"),
    ("500 parts", {"files": _files(*[b"x"] * 500)}, 413, "too_large"),
    (
        "no boundary",
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        400,
        "bad_form",
    ),
    (
        "a boundary of 1 MB",
        {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=" + "b" * 1_000_000}},
        400,
        "bad_form",
    ),
    (
        "a form that ends in the middle",
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
        400,
        "bad_form",
    ),
]


@pytest.mark.parametrize(("how", "status", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_requests_are_told_what_is_wrong(how: dict[str, object], status: int, code: str) -> None:
    answer = ask(make_app(), "POST", "/predict", **how)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_progressive_scans_without_end_are_refused() -> None:
    from imaging.picture_files import encode as save

    head = save(scene(64, 48), "JPEG", progressive=True)
    scan = head.index(b"\xff\xda")
    answer = ask(make_app(), "POST", "/predict", files=_files(head[:-2] + head[scan:-2] * 2000 + b"\xff\xd9"))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "image"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b", "\u202egpj.exe", "x" * 5000, '"; drop', ""])
def test_hostile_file_names_change_nothing(name: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\n' % name.encode()
    answer = ask(
        make_app(),
        "POST",
        "/predict",
        content=body + PHOTO + b"\r\n--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code in (200, 400)
    assert "passwd" not in answer.text


def test_other_routes_and_methods() -> None:
    app = make_app()
    assert ask(app, "GET", "/nothing").status_code == 404
    wrong = ask(app, "GET", "/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert ask(app, "POST", "/v1/faces", files=_files(PHOTO)).status_code == 404
    assert ask(app, "GET", "/healthz").json()["status"] == "ok"
    assert ask(app, "GET", "/status").json()["tasks"][0]["name"] == "orientation"


def test_every_answer_has_the_security_headers() -> None:
    for path in ("/", "/healthz", "/nothing"):
        headers = ask(make_app(), "GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_request_ids_are_kept_where_they_are_harmless() -> None:
    app = make_app()
    assert ask(app, "GET", "/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert ask(app, "GET", "/healthz", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_headers_that_are_no_utf8() -> None:
    answer = ask(
        make_app(),
        "POST",
        "/predict",
        files=_files(PHOTO),
        headers={"accept": b"\xff\xfe", "x-api-key": b"\xff"},
    )
    assert answer.status_code == 200


def test_a_bug_is_500_without_its_inside(capsys: pytest.CaptureFixture[str]) -> None:
    pool = FakePool()

    def fail() -> None:
        raise ZeroDivisionError("pixels of somebody's face")

    pool.before = fail
    answer = ask(make_app(pool), "POST", "/predict", files=_files(PHOTO))
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    shown = answer.text + "".join(capsys.readouterr())
    assert "ZeroDivisionError at" in shown
    assert "somebody" not in shown


def test_places_are_bounded_and_503_says_when_to_come_again() -> None:
    async def go() -> list[object]:
        hold = asyncio.Event()
        app = make_app(FakePool(hold), places=3)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first = [asyncio.create_task(client.post("/predict", files=_files(PHOTO))) for _ in range(3)]
            await asyncio.sleep(0.05)
            refused = await client.post("/predict", files=_files(PHOTO))
            hold.set()
            return [refused, *[(await one).status_code for one in first], (await client.get("/metrics")).text]

    refused, *rest, metrics = asyncio.run(go())
    assert refused.status_code == 503  # type: ignore[attr-defined]
    assert int(refused.headers["retry-after"]) >= 1  # type: ignore[attr-defined]
    assert rest == [200, 200, 200]
    assert 'edgeproof_rejections_total{reason="overloaded"} 1' in str(metrics)


def test_metrics_are_what_prometheus_reads() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    app = make_app()
    ask(app, "POST", "/predict", files=_files(PHOTO))
    families = {one.name for one in parser.text_string_to_metric_families(ask(app, "GET", "/metrics").text)}
    assert {
        "edgeproof_requests", "edgeproof_request_duration_seconds", "edgeproof_queue_wait_seconds",
        "edgeproof_batch_size", "edgeproof_inference_duration_seconds", "edgeproof_queue_depth",
        "edgeproof_rejections", "edgeproof_model_loaded", "edgeproof_memory_resident_bytes",
        "edgeproof_worker_restarts",
    } <= families  # fmt: skip


def test_openapi_names_every_route_and_no_other() -> None:
    app = make_app()
    document = ask(app, "GET", "/openapi.json").json()
    told = {(method.upper(), path) for path, row in document["paths"].items() for method in row}
    assert told == {(one.method, one.path) for one in app.endpoints}
    for method, path in told:
        real = path.replace("{model}", "orientation").replace("{version}", "1")
        assert ask(app, method, real).status_code not in (404, 405), path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# who\n{'i' * 20} infer\n{'a' * 20} infer,admin max=1\n{'e' * 20} enrol # for people\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        ("", "/status", 401),
        ("x" * 20, "/status", 401),
        ("i" * 20, "/status", 200),
        ("e" * 20, "/status", 403),
        ("i" * 20, "/metrics", 403),
        ("a" * 20, "/metrics", 200),
        ("", "/healthz", 200),
        ("", "/v2/health/ready", 200),
    ],
)
def test_keys_and_scopes(keys: Path, key: str, path: str, status: int) -> None:
    app = make_app(access=Access(read_keys(keys), loopback=True))
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = ask(app, "GET", path, headers=headers)
    assert answer.status_code == status
    assert "i" * 20 not in answer.text
    if key:
        assert ask(app, "GET", path, headers={"x-api-key": key}).status_code == status


def test_a_key_has_its_own_limit(keys: Path) -> None:
    async def go() -> tuple[int, str]:
        hold = asyncio.Event()
        app = make_app(FakePool(hold), access=Access(read_keys(keys), loopback=True))
        headers = {"authorization": f"Bearer {'a' * 20}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            first = asyncio.create_task(client.post("/predict", files=_files(PHOTO)))
            await asyncio.sleep(0.05)
            second = await client.post("/predict", files=_files(PHOTO))
            hold.set()
            await first
            return second.status_code, second.headers["retry-after"]

    assert asyncio.run(go()) == (429, "1")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "localhost:8080"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_without_keys_only_this_machine_and_no_foreign_page(headers: dict[str, str], status: int) -> None:
    assert ask(make_app(), "GET", "/status", headers=headers).status_code == status


def test_an_unused_network_is_closed_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FakePool()
    app = make_app(pool, model_ttl_s=100.0)
    service = app._service
    service.used["orientation"] -= 101
    asyncio.run(service.close_unused())
    assert pool.asked == [{"do": "close", "model": "orientation"}]
    assert not ask(app, "GET", "/status").json()["models"][0]["loaded"]
    assert ask(app, "POST", "/predict", files=_files(PHOTO)).status_code == 200
    assert ask(app, "GET", "/status").json()["models"][0]["loaded"]


def test_nothing_in_the_page_comes_from_elsewhere() -> None:
    import re

    page = ask(make_app(), "GET", "/").text
    assert not re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert json.dumps("x")  # the page is served as it is in the package
