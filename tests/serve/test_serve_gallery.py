"""Collections and people over HTTP, with real galleries and played networks."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from edgeproof.core.errors import EdgeproofError
from edgeproof.gallery.master_key import KeySource, new_key_file
from edgeproof.gallery.opening import open_gallery
from edgeproof.serve.access import Access, read_keys
from edgeproof.serve.app import App
from edgeproof.serve.service import Service
from gallery.people import DIMENSIONS, MODEL
from serve.fake_pool import ask
from serve.played_gallery import gallery_app, png

pytest.importorskip("cryptography", reason="needs the extra `gallery`")
ONE = "/v1/collections/default"
NAMES = (
    "Ada Lovelace",
    "张伟",
    "Ann/Bob",
    "a%2Fb",
    "50 % off?",
    "O'Neil; DROP TABLE",
    "x" * 200,
    "export",
    "🙂",
    "..,",
)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_KEY", "_KEY_FILE", "_PASSPHRASE"):
        monkeypatch.delenv(f"EDGEPROOF_GALLERY{name}", raising=False)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "gallery.key"


@pytest.fixture
def made(tmp_path: Path, key: Path) -> Iterator[tuple[App, Service]]:
    (tmp_path / "data").mkdir()
    with gallery_app({"default": str(tmp_path / "data" / "door.db")}, key) as both:
        yield both


@pytest.fixture
def app(made: tuple[App, Service]) -> App:
    return made[0]


def person(name: str) -> str:
    return f"{ONE}/people/{quote(name, safe='')}"


def send(app: App, path: str, *pictures: bytes, **how: Any) -> Any:
    return ask(app, "POST", path, files=[("image", ("p.png", one, "image/png")) for one in pictures], **how)


def test_enrolled_found_exported_and_forgotten(app: App, tmp_path: Path) -> None:
    answer = send(
        app, person("Ada Lovelace"), png(tmp_path, 1), params={"keep_crops": "true", "retain": "30d"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"] == {"enrolled": 1, "refused": 0, "errors": 0}
    assert send(app, person("Bob"), png(tmp_path, 3)).status_code == 200

    found = send(app, f"{ONE}/search", png(tmp_path, 1, like=95), png(tmp_path, 7)).json()
    who, stranger = (row["result"]["faces"][0] for row in found["images"])
    assert (who["decision"], who["candidates"][0]["name"]) == ("Ada Lovelace", "Ada Lovelace")
    assert who["similarity"] == pytest.approx(0.95, abs=1e-5)
    assert (stranger["decision"], len(stranger["candidates"])) == ("unknown", 2)
    assert "below the threshold" in stranger["reason"]

    document = ask(app, "GET", ONE).json()
    assert (document["people"], document["templates"], document["model_sha256"]) == (2, 2, MODEL)

    exported = ask(app, "GET", person("Ada Lovelace") + "/export")
    assert exported.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        text = json.loads(archive.read("person.json"))
        assert (text["name"], len(archive.namelist())) == ("Ada Lovelace", 2)

    gone = ask(app, "DELETE", person("ada lovelace")).json()
    assert (gone["forgotten"], gone["templates"], gone["scrubbed"]) == ("Ada Lovelace", 1, True)
    assert ask(app, "GET", person("Ada Lovelace")).status_code == 404
    assert ask(app, "DELETE", person("Ada Lovelace")).json()["error"]["code"] == "unknown_name"
    after = send(app, f"{ONE}/search", png(tmp_path, 1)).json()["images"][0]["result"]["faces"][0]
    assert (after["decision"], [one["name"] for one in after["candidates"]]) == ("unknown", ["Bob"])


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_may_be_any_text(app: App, tmp_path: Path, name: str) -> None:
    assert send(app, person(name), png(tmp_path, 1)).json()["name"] == name
    assert ask(app, "GET", person(name)).json()["name"] == name
    assert [row["name"] for row in ask(app, "GET", f"{ONE}/people").json()["people"]] == [name]
    assert ask(app, "GET", person(name) + "/export").headers["content-type"] == "application/zip"
    assert ask(app, "DELETE", person(name)).json()["forgotten"] == name


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{ONE}/people/%FF", 400, "bad_name"),
        (f"{ONE}/people/%00", 400, "usage"),
        (f"{ONE}/people/%20", 400, "usage"),
        (f"{ONE}/people/unknown", 400, "usage"),
        (f"{ONE}/people/{'x' * 201}", 400, "usage"),
        (f"{ONE}/people/a/b", 404, "no_such_route"),
        (f"{ONE}/people/Nobody", 404, "unknown_name"),
        (f"{ONE}/people/Nobody/export", 404, "unknown_name"),
        ("/v1/collections/other/people/Ada", 404, "unknown_collection"),
        ("/v1/collections/a%2Fb", 404, "unknown_collection"),
        (f"{ONE}/people?limit=0", 400, "bad_option"),
        (f"{ONE}/people?limit=99999999999999999999", 400, "bad_option"),
        (f"{ONE}/people?after=1&after=2", 400, "bad_option"),
        (f"{ONE}/people?lmit=2", 400, "bad_option"),
    ],
)
def test_what_can_not_be_meant_is_told(app: App, path: str, status: int, code: str) -> None:
    answer = ask(app, "GET", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/people/Ada", {"retain": "soon"}, "usage"),
        ("/people/Ada", {"force": "yes"}, "bad_option"),
        ("/search", {"threshold": "1.5"}, "bad_option"),
        ("/search", {"threshold": "nan"}, "bad_option"),
        ("/search", {"top": "11"}, "bad_option"),
        ("/search", {"margin": "1e999"}, "bad_option"),
    ],
)
def test_options_are_read_before_pictures(
    made: tuple[App, Service], tmp_path: Path, path: str, query: dict[str, str], code: str
) -> None:
    answer = send(made[0], ONE + path, png(tmp_path, 1), params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert not made[1].pool.asked  # type: ignore[attr-defined]


def test_each_picture_is_enrolled_or_refused_on_its_own(app: App, tmp_path: Path) -> None:
    send(app, person("Bob"), png(tmp_path, 3))
    pictures = [
        png(tmp_path, 1),
        png(tmp_path, 1),
        png(tmp_path, 3),
        png(tmp_path, 5, bad=True),
        png(tmp_path, 6, faces=2),
        png(tmp_path, 6, faces=0),
        b"no picture",
    ]
    answer = send(app, person("Ada"), *pictures)
    assert answer.status_code == 200
    document = answer.json()
    assert document["summary"] == {"enrolled": 1, "refused": 5, "errors": 1}
    reasons = [" ".join(row["reasons"]) for row in document["images"]]
    for reason, words in zip(
        reasons, ("", "already", "looks like Bob", "blurred", "2 faces", "no face", ""), strict=True
    ):
        assert words in reason
    assert document["images"][6]["error"]["code"] == "not_an_image"
    assert send(app, person("Cleo"), png(tmp_path, 6, faces=2), params={"largest": "true"}).status_code == 200
    assert send(app, person("Dan"), png(tmp_path, 5, bad=True), params={"force": "true"}).status_code == 200


def test_a_request_that_enrols_nobody_is_no_success(app: App, tmp_path: Path) -> None:
    answer = send(app, person("Ada"), png(tmp_path, 5, bad=True), b"no picture")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "nothing_enrolled")
    assert "blurred" in error["message"]
    assert error["details"]["summary"] == {"enrolled": 0, "refused": 1, "errors": 1}
    assert send(app, person("Ada"), b"no picture").status_code == 415
    assert ask(app, "GET", ONE).json()["people"] == 0


def test_pages_of_people(app: App, tmp_path: Path) -> None:
    for who in range(5):
        send(app, person(f"P{who}"), png(tmp_path, 2 * who))
    seen, after = [], 0
    while after is not None:
        page = ask(app, "GET", f"{ONE}/people", params={"limit": 2, "after": after}).json()
        assert len(page["people"]) <= 2
        seen += [row["name"] for row in page["people"]]
        after = page["next"]
    assert seen == [f"P{who}" for who in range(5)]


def test_what_another_process_does_is_seen(app: App, tmp_path: Path, key: Path) -> None:
    send(app, person("Ada"), png(tmp_path, 1))
    with open_gallery(tmp_path / "data" / "door.db", KeySource(key)) as other:
        other.settle(threshold=0.97)
        strict = send(app, f"{ONE}/search", png(tmp_path, 1, like=96)).json()["images"][0]["result"]
        assert (strict["threshold"], strict["faces"][0]["decision"]) == (0.97, "unknown")
        other.forget("Ada")
        empty = send(app, f"{ONE}/search", png(tmp_path, 1)).json()["images"][0]["result"]["faces"][0]
        assert (empty["candidates"], empty["reason"]) == ([], "The gallery is empty.")
        send(app, person("Eve"), png(tmp_path, 5))
        assert [one.name for one in other.people()] == ["Eve"]
        assert [row.action for row in other.audit()] == [
            "enroll", "settings", "search", "forget", "search", "enroll",
        ]  # fmt: skip


def test_collections_have_nothing_in_common(tmp_path: Path, key: Path) -> None:
    (tmp_path / "data").mkdir()
    with gallery_app({name: str(tmp_path / "data" / name) for name in ("door", "staff")}, key) as (app, _):
        send(app, "/v1/collections/door/people/Ada", png(tmp_path, 1))
        rows = ask(app, "GET", "/v1/collections").json()["collections"]
        assert [(row["name"], row["people"]) for row in rows] == [("door", 1), ("staff", 0)]
        found = send(app, "/v1/collections/staff/search", png(tmp_path, 1)).json()["images"][0]["result"]
        assert found["faces"][0]["decision"] == "unknown"


@pytest.fixture
def keyed(tmp_path: Path, key: Path) -> Iterator[Callable[..., int]]:
    """Asks with the key of one scope; the status that comes."""
    file = tmp_path / "keys.txt"
    file.write_text("".join(f"{scope:-<20} {scope}\n" for scope in ("infer", "enrol", "admin")))
    file.chmod(0o600)
    (tmp_path / "data").mkdir()
    access = Access(read_keys(file), loopback=True)
    with gallery_app({"default": str(tmp_path / "data" / "door.db")}, key, access=access) as (app, _):

        def status(scope: str, method: str, path: str) -> int:
            headers = {"authorization": f"Bearer {scope:-<20}"} if scope else {}
            files = [("image", ("p.png", png(tmp_path, 1), "image/png"))] if method == "POST" else None
            return int(ask(app, method, path, headers=headers, files=files).status_code)

        yield status


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/collections", "infer"),
        ("GET", ONE, "infer"),
        ("POST", f"{ONE}/search", "infer"),
        ("GET", f"{ONE}/people/Ada", "enrol"),
        ("POST", f"{ONE}/people/Ada", "enrol"),
        ("DELETE", f"{ONE}/people/Ada", "enrol"),
        ("GET", f"{ONE}/people", "admin"),
        ("GET", f"{ONE}/people/Ada/export", "admin"),
    ],
)
def test_each_route_needs_its_own_scope(
    keyed: Callable[..., int], method: str, path: str, scope: str
) -> None:
    assert keyed("", method, path) == 401
    for other in {"infer", "enrol", "admin"} - {scope}:
        assert keyed(other, method, path) == 403
    assert keyed(scope, method, path) in (200, 404)


def test_a_gallery_that_grows_takes_from_the_pictures_and_ends_before_they_have_nothing(
    tmp_path: Path, key: Path
) -> None:
    (tmp_path / "data").mkdir()
    places = {"default": str(tmp_path / "data" / "door.db")}
    with gallery_app(places, key, work=60_000_000, least=59_950_000) as (app, service):
        send(app, person("Ada"), png(tmp_path, 1))
        send(app, f"{ONE}/search", png(tmp_path, 1))
        assert service.admission.work.capacity == 59_950_000  # an index of 64 kB, and its share for growing
        full = send(app, person("Bob"), png(tmp_path, 3))
        assert (full.status_code, full.json()["error"]["code"]) == (413, "gallery_full")
        assert send(app, f"{ONE}/search", png(tmp_path, 1)).status_code == 200
        assert ask(app, "DELETE", person("Ada")).status_code == 200


def test_vectors_of_another_network_are_never_compared(made: tuple[App, Service], tmp_path: Path) -> None:
    app, service = made
    send(app, person("Ada"), png(tmp_path, 1))
    workers: Any = service.pool
    workers.told = {**workers.told, "recognizer": {"sha256": "b2" * 32, "dimensions": 16, "side": 112}}
    for path in (f"{ONE}/search", person("Bob")):
        answer = send(app, path, png(tmp_path, 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "another_recognizer")
        assert answer.headers["retry-after"]


def test_a_store_that_fails_is_told_without_its_place(
    made: tuple[App, Service], tmp_path: Path, key: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app, _ = made
    send(app, person("Ada"), png(tmp_path, 1))
    with open_gallery(tmp_path / "data" / "door.db", KeySource(key)) as other:
        other.store.run("UPDATE templates SET sealed = zeroblob(200)")
        other.store.run("UPDATE gallery SET revision = revision + 1")
    exported = ask(app, "GET", person("Ada") + "/export")
    assert exported.json()["error"]["code"] == "tampered_template"
    assert str(tmp_path) not in exported.text
    assert "collection default" in capfd.readouterr().err


def test_metrics_and_status_know_the_collections(app: App, tmp_path: Path) -> None:
    send(app, person("Ada"), png(tmp_path, 1), png(tmp_path, 1))
    send(app, f"{ONE}/search", png(tmp_path, 1), png(tmp_path, 9))
    lines = ask(app, "GET", "/metrics").text.splitlines()
    for line in (
        'edgeproof_gallery_people{collection="default"} 1',
        'edgeproof_gallery_faces_total{collection="default",decision="known"} 1',
        'edgeproof_gallery_faces_total{collection="default",decision="unknown"} 1',
        'edgeproof_gallery_pictures_total{collection="default",decision="refused"} 1',
        'edgeproof_requests_total{route="/v1/collections/{collection}/search",method="POST",status="200"} 1',
    ):
        assert line in lines
    assert not [line for line in lines if "Ada" in line]
    assert ask(app, "GET", "/status").json()["collections"] == ["default"]


def test_openapi_says_what_comes(app: App, tmp_path: Path) -> None:
    validator = pytest.importorskip("jsonschema")
    document = ask(app, "GET", "/openapi.json").json()

    def check(method: str, path: str, answer: Any) -> None:
        schema = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
        kind = answer.headers["content-type"]
        if kind == "application/json":
            validator.validate(
                answer.json(), {**schema[kind]["schema"], "components": document["components"]}
            )
        assert kind in schema

    template = "/v1/collections/{collection}"
    enrolled = send(app, person("Ada"), png(tmp_path, 1), b"no picture", params={"keep_crops": "true"})
    check("post", f"{template}/people/{{name}}", enrolled)
    check("post", f"{template}/people/{{name}}", send(app, person("Ada"), png(tmp_path, 1)))
    check("post", f"{template}/search", send(app, f"{ONE}/search", png(tmp_path, 1), b"no picture"))
    check("post", f"{template}/search", send(app, f"{ONE}/search", png(tmp_path, 1), params={"top": "x"}))
    for path in ("/people", "/people/{name}", "/people/{name}/export", ""):
        check("get", template + path, ask(app, "GET", ONE + path.format(name="Ada")))
    check("get", "/v1/collections", ask(app, "GET", "/v1/collections"))
    check("delete", f"{template}/people/{{name}}", ask(app, "DELETE", person("Ada")))
    check("delete", f"{template}/people/{{name}}", ask(app, "DELETE", person("Ada")))


def test_without_a_gallery_the_answer_says_how_to_serve_one() -> None:
    from serve.fake_pool import make_app as without

    answer = ask(without(), "GET", "/v1/collections")
    assert (answer.status_code, "--gallery" in answer.text) == (404, True)


@pytest.mark.parametrize("trouble", ["another recogniser", "another key", "no gallery", "beside the key"])
def test_a_gallery_that_can_not_be_served_is_refused_with_the_reason(
    tmp_path: Path, key: Path, trouble: str
) -> None:
    place = tmp_path / "data" / "door.db"
    place.parent.mkdir()
    model = "b2" * 32 if trouble == "another recogniser" else MODEL
    with open_gallery(place, KeySource(key), model_digest=model, dimensions=DIMENSIONS, create=True):
        pass
    words = "made with another recogniser"
    if trouble == "another key":
        key, words = tmp_path / "other.key", "not the key"
        new_key_file(key, None)
    elif trouble == "no gallery":
        place.write_bytes(b"x" * 5000)
        words = "is no gallery"
    elif trouble == "beside the key":
        key, words = place.parent / "gallery.key", "who copies that has both"
    with pytest.raises(EdgeproofError, match=words), gallery_app({"default": str(place)}, key):
        pass
