"""Collections in a service of processes: what is killed comes back, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from cli.processes import ENVIRONMENT, start
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from serve.real_server import RealServer, running
from serve.served_models import install

pytest.importorskip("cryptography", reason="needs the extra `gallery`")
ONE = "/v1/collections/door"
PEOPLE = ("Abel_Pacheco", "Akhmed_Zakayev", "Amber_Tamblyn")
Running = Callable[[], AbstractContextManager[RealServer]]


@pytest.fixture(scope="module")
def desk(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with installed networks, a key and an empty folder for galleries."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        install(shared, folder, patch, "yunet", "mobilefacenet")
        patch.setitem(ENVIRONMENT, "EDGEPROOF_HOME", str(folder / "home"))
        for name in ("", "_KEY", "_KEY_FILE", "_PASSPHRASE"):
            patch.delitem(ENVIRONMENT, f"EDGEPROOF_GALLERY{name}", raising=False)
        (folder / "data").mkdir()
        yield folder


@pytest.fixture
def serving(desk: Path) -> Running:
    """Starts the service on one gallery."""
    options = (
        "--gallery",
        f"door={desk / 'data' / 'door.db'}",
        "--key-file",
        str(desk / "keys" / "gallery.key"),
    )
    return lambda: running(*options, task="")


def _photo(shared: Path, who: str, number: int) -> bytes:
    folder = shared / "data" / "lfw" / "images" / who
    return sorted(folder.iterdir())[number].read_bytes()


def _post(server: RealServer, path: str, picture: bytes, **query: str) -> httpx.Response:
    return httpx.post(server.url + path, files={"image": picture}, params=query, timeout=60)


def _keeper(server: RealServer) -> int:
    """The process that has the galleries open."""
    (pid,) = (one for one in server.workers if b"gallery_worker" in Path(f"/proc/{one}/cmdline").read_bytes())
    return pid


def test_what_was_acknowledged_survives_every_kill(serving: Running, desk: Path, shared: Path) -> None:
    with serving() as server:
        _check_memory(server)
        for who in PEOPLE:
            picture = _photo(shared, who, 0)
            assert _post(server, f"{ONE}/people/{who}", picture, largest="true").status_code == 200
            if who != PEOPLE[1]:
                os.kill(_keeper(server), signal.SIGKILL)
        found = _post(server, f"{ONE}/search", _photo(shared, PEOPLE[0], 1)).json()
        assert PEOPLE[0] in [face["decision"] for face in found["images"][0]["result"]["faces"]]
        assert 'restarts_total{reason="died"} 2' in httpx.get(f"{server.url}/metrics").text
        # Another process, this one, forgets somebody while the service runs.
        with open_gallery(desk / "data" / "door.db", KeySource(desk / "keys" / "gallery.key")) as other:
            other.forget(PEOPLE[1])
        gone = _post(server, f"{ONE}/search", _photo(shared, PEOPLE[1], 0)).json()
        assert PEOPLE[1] not in str(gone)
        httpx.delete(f"{server.url}{ONE}/people/{PEOPLE[2]}", timeout=60).raise_for_status()
        server.process.kill()
        server.process.communicate(timeout=30)
    with serving() as server:
        people = httpx.get(f"{server.url}{ONE}/people").json()["people"]
        assert [row["name"] for row in people] == [PEOPLE[0]]


def _check_memory(server: RealServer) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert not [name for name in ("_multiarray_umath", "_sqlite3", "onnxruntime") if name in maps]
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    sizes = {
        line.split('"')[1]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("edgeproof_memory_resident_bytes{")
    }
    assert set(sizes) == {"front", "worker-0", "gallery"}
    assert sum(sizes.values()) < server.facts["memory_budget_bytes"]


def test_a_gallery_of_another_recogniser_stops_the_start(desk: Path, tmp_path: Path) -> None:
    place, key = tmp_path / "data" / "door.db", tmp_path / "keys" / "gallery.key"
    place.parent.mkdir()
    with open_gallery(place, KeySource(key), model_digest="b2" * 32, dimensions=128, create=True):
        pass
    process = start("serve", "--port", "0", "--gallery", str(place), "--key-file", str(key))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "made with another recogniser" in err
    assert len(err.strip().splitlines()) == 1


def test_the_page_says_who_it_is(serving: Running, shared: Path, tmp_path: Path) -> None:
    from serve.browser import browser
    from serve.test_page import _DONE, _open

    who = PEOPLE[0]
    (tmp_path / "picture.jpg").write_bytes(_photo(shared, who, 1))
    with serving() as server, browser(tmp_path / "profile") as page:
        _post(server, f"{ONE}/people/{who}", _photo(shared, who, 0), largest="true")
        for domain in ("Page", "Runtime", "DOM"):
            page.do(f"{domain}.enable")
        for width in (1280, 390):
            size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
            page.do("Emulation.setDeviceMetricsOverride", **size)
            _open(page, server.url)
            assert page.run("document.getElementById('task').selectedOptions[0].text") == "Who is it? (door)"
            root = page.do("DOM.getDocument")["root"]["nodeId"]
            field = page.do("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
            page.run("window.written = []; const fill = pen.fillText.bind(pen);"
                     "pen.fillText = (text, ...at) => { window.written.push(text); fill(text, ...at); }")  # fmt: skip
            page.run("document.getElementById('raw').hidden = true")
            page.do("DOM.setFileInputFiles", files=[str(tmp_path / "picture.jpg")], nodeId=field)
            assert page.run(_DONE)
            assert who in page.run("document.getElementById('answer').textContent")
            assert who in page.run("window.written.join()")
            assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert not [event for event in page.events if event.get("method") == "Runtime.exceptionThrown"]
