"""Installing models: from a folder, from a server, interrupted, twice at once, on a full disk."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.file_server import Files, cut, page, ranged, serving, silent, status
from edgeproof.bundles import download, store
from edgeproof.bundles import pull as pulling
from edgeproof.bundles.catalogue import CatalogueModel, ModelFile
from edgeproof.bundles.pull import find_mirror, pull
from edgeproof.bundles.store import state
from edgeproof.core.errors import (
    DiskFullError,
    DownloadError,
    EdgeproofError,
    NotFoundError,
    StorageError,
    UsageError,
    WrongDigestError,
)

FILES = {"net.caffemodel": random.Random(0).randbytes(200_000), "net.prototxt": b"name: 'net'\n" * 50}
SOURCE = Path(download.__file__).parents[2]


def _model(*names: str, known: bool = True, **urls: str) -> CatalogueModel:
    files = [
        ModelFile(
            name,
            len(FILES[name]) if known else None,
            hashlib.sha256(FILES[name]).hexdigest() if known else None,
            "https://nowhere.invalid/" + name,
        )
        for name in names or FILES
    ]
    return CatalogueModel(
        "net", "detect", "A net", tuple(files), "MIT", True, "https://nowhere.invalid", "", {}
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, and no waiting between attempts."""
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EDGEPROOF_MIRROR", raising=False)
    monkeypatch.setattr(download, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(download, "_LONGEST_WAIT", 0.0)
    return tmp_path / "home" / "models"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with the files by their plain names."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def _left(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.suffix != ".lock")


def test_from_a_folder(home: Path, mirror: Path) -> None:
    model = _model()
    assert state(model) == "missing"
    pulled = pull(model, mirror=mirror)
    assert pulled.fetched
    assert not pulled.pinned
    assert {name: (home / "net" / name).read_bytes() for name in FILES} == FILES
    assert state(model) == state(model, thorough=False) == "installed"
    assert _left(home) == ["net"]
    assert not pull(model, mirror=Path("/nowhere")).fetched


def test_all_files_or_none(home: Path, mirror: Path) -> None:
    (mirror / "net.prototxt").unlink()
    with pytest.raises(DownloadError, match=r"no .*net\.prototxt"):
        pull(_model(), mirror=mirror)
    assert state(_model()) == "missing"
    (mirror / "net.prototxt").write_bytes(FILES["net.prototxt"])
    (mirror / "net.caffemodel").unlink()  # it is here already
    assert pull(_model(), mirror=mirror).fetched
    assert state(_model()) == "installed"
    assert _left(home) == ["net"]


def test_a_wrong_file_is_told_with_both_digests_and_not_kept(home: Path, mirror: Path) -> None:
    model, other = _model("net.prototxt"), b"x" * len(FILES["net.prototxt"])
    (mirror / "net.prototxt").write_bytes(other)
    with pytest.raises(WrongDigestError) as caught:
        pull(model, mirror=mirror)
    assert hashlib.sha256(other).hexdigest() in caught.value.message
    assert str(model.files[0].sha256) in caught.value.message
    assert state(model) == "missing"
    assert _left(home) == []


def test_what_broke_off_goes_on(home: Path) -> None:
    model, data = _model("net.caffemodel"), FILES["net.caffemodel"]
    with serving(data, cut(70_000), status(404)) as server, pytest.raises(DownloadError, match="404"):
        pull(model, mirror=server.url)
    assert state(model) == "missing"
    assert (home / ".net.part" / "net.caffemodel.part").read_bytes() == data[:70_000]
    with serving(data, ranged) as server:
        assert pull(model, mirror=server.url).fetched
        assert server.asked == [("/net.caffemodel", "bytes=70000-")]
    assert _left(home) == ["net"]


def test_a_spoilt_part_is_fetched_anew(home: Path) -> None:
    model, data = _model("net.caffemodel"), FILES["net.caffemodel"]
    (home / ".net.part").mkdir(parents=True)
    (home / ".net.part" / "net.caffemodel.part").write_bytes(b"?" * 70_000)
    with serving(data, ranged) as server:
        pull(model, mirror=server.url)
        assert [asked for _, asked in server.asked] == ["bytes=70000-", None]
    assert state(model) == "installed"


@pytest.mark.parametrize("spoil", ["flip", "shorten", "remove", "record", "norecord"])
def test_damage_is_seen_and_mended(home: Path, mirror: Path, spoil: str) -> None:
    model = _model()
    pull(model, mirror=mirror)
    file = home / "net" / "net.caffemodel"
    match spoil:
        case "flip":
            data = bytearray(file.read_bytes())
            data[1000] ^= 1
            before = file.stat()
            file.write_bytes(data)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "shorten":
            os.truncate(file, 1000)
        case "remove":
            file.unlink()
        case "record":
            (home / "net" / store.RECORD).write_text('{"files": {"net.caffemodel": 5}}')
        case "norecord":
            (home / "net" / store.RECORD).unlink()
    assert state(model) == state(model, thorough=False) == "damaged"
    assert pull(model, mirror=mirror).fetched
    assert state(model) == "installed"


def test_large_files_are_not_read_each_time(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(_model(), mirror=mirror)
    monkeypatch.setattr(store, "_TRUSTED_ABOVE", 100_000)
    read: list[str] = []
    monkeypatch.setattr(store, "sha256_of", lambda path: read.append(path.name) or "0")
    state(_model(), thorough=False)
    assert read == ["net.prototxt"]


def test_an_unknown_digest_is_refused_then_pinned(home: Path, mirror: Path) -> None:
    model = _model("net.prototxt", known=False)
    with pytest.raises(UsageError, match="not known") as caught:
        pull(model, mirror=mirror)
    assert "--accept-unknown-digest" in caught.value.hint
    assert not home.exists()
    pulled = pull(model, mirror=mirror, accept_unknown_digest=True)
    digest = hashlib.sha256(FILES["net.prototxt"]).hexdigest()
    assert (pulled.pinned, pulled.digests) == (("net.prototxt",), {"net.prototxt": digest})
    assert state(model) == "installed"
    # From now on it is held to: what else is published under the name later is refused, asked for or not.
    (home / "net" / "net.prototxt").write_bytes(b"damaged")
    (mirror / "net.prototxt").write_bytes(b"another")
    for accept in (False, True):
        with pytest.raises(WrongDigestError, match=digest):
            pull(model, mirror=mirror, accept_unknown_digest=accept)
    (mirror / "net.prototxt").write_bytes(FILES["net.prototxt"])
    assert pull(model, mirror=mirror).fetched


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><p>sign in", b"\n <html>"])
def test_a_web_page_is_never_pinned(home: Path, mirror: Path, body: bytes) -> None:
    (mirror / "net.prototxt").write_bytes(body)
    with pytest.raises(DownloadError, match="web page or empty"):
        pull(_model("net.prototxt", known=False), mirror=mirror, accept_unknown_digest=True)
    assert _left(home) == []
    with serving(b"", page) as server, pytest.raises(DownloadError, match="web page"):
        pull(_model("net.prototxt", known=False), mirror=server.url, accept_unknown_digest=True)


def test_an_unknown_file_that_breaks_off_does_not_mix_two_versions(home: Path) -> None:
    model, data = _model("net.caffemodel", known=False), FILES["net.caffemodel"]
    with serving(data, cut(70_000), status(404)) as server, pytest.raises(DownloadError):
        pull(model, mirror=server.url, accept_unknown_digest=True)
    with serving(data, ranged) as server:
        pull(model, mirror=server.url, accept_unknown_digest=True)
        assert server.asked == [("/net.caffemodel", None)]


@pytest.mark.parametrize("mirror_url", [None, "http://127.0.0.1:9"])
def test_offline_uses_no_network(mirror: Path, mirror_url: str | None) -> None:
    with pytest.raises(DownloadError, match="no network may be used"):
        pull(_model(), mirror=mirror_url, offline=True)
    assert pull(_model(), mirror=mirror, offline=True).fetched


def test_a_disk_without_room_is_told_before(
    mirror: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(mirror)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFullError, match="full"):
        pull(_model(), mirror=mirror)
    assert _left(home) == []


_PULL = """
import resource, sys
from pathlib import Path
sys.path[:0] = {paths}
from bundles.test_pull import _model
from edgeproof.bundles.pull import pull
from edgeproof.core.errors import EdgeproofError
{before}
try:
    print(pull(_model({names}), mirror={mirror}).fetched)
except EdgeproofError as error:
    print(error.code, error)
"""


def _process(mirror: object, names: str = "", before: str = "") -> subprocess.Popen[str]:
    code = _PULL.format(
        paths=[str(SOURCE), str(Path(__file__).parents[1])], names=names, mirror=mirror, before=before
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_in_the_middle(mirror: Path, home: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    with _process(f"Path({str(mirror)!r})", before=limit) as process:
        said = process.communicate(timeout=60)[0]
    assert said.startswith("disk_full")
    assert "EDGEPROOF_HOME" in said
    assert _left(home) == []
    assert pull(_model(), mirror=mirror).fetched


def test_killed_in_the_middle(home: Path) -> None:
    model, data = _model("net.caffemodel"), FILES["net.caffemodel"]
    part, sent = home / ".net.part" / "net.caffemodel.part", threading.Event()

    def half(request: Files) -> None:
        request.head(200, len(data))
        request.wfile.write(data[:120_000])
        request.wfile.flush()
        sent.set()
        request.server.release.wait(60)

    with serving(data, half) as server:
        process = _process(repr(server.url), names="'net.caffemodel'")
        assert sent.wait(60)
        while not part.exists() or part.stat().st_size < 50_000:
            threading.Event().wait(0.01)  # bytes on their way from one process to another
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert state(model) == "missing"
    here = part.stat().st_size
    assert 0 < here < len(data)
    with serving(data, ranged) as server:
        assert pull(model, mirror=server.url).fetched
        assert server.asked == [("/net.caffemodel", f"bytes={here}-")]
    assert state(model) == "installed"


def test_two_processes_at_once_fetch_it_once(home: Path) -> None:
    both = threading.Event()

    def answer(request: Files) -> None:
        both.wait(60)
        request.server.data = FILES[request.path.removeprefix("/")]
        ranged(request)

    with serving(b"", answer) as server:
        waits = threading.Event()
        first = _process(repr(server.url))
        while not server.asked:
            threading.Event().wait(0.01)
        other: list[bool] = []
        second = threading.Thread(
            target=lambda: other.append(pull(_model(), mirror=server.url, waiting=waits.set).fetched)
        )
        second.start()
        assert waits.wait(60)
        both.set()
        assert first.communicate(timeout=60)[0] == "True\n"
        second.join(60)
        assert other == [False]
        assert len(server.asked) == 2
    assert state(_model()) == "installed"


def test_interrupted(home: Path, mirror: Path) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(_model(), mirror=mirror, progress=stop)
    assert state(_model()) == "missing"
    assert pull(_model(), mirror=mirror).fetched


def test_silence_in_the_middle_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    with serving(FILES["net.caffemodel"], silent, ranged) as server:
        assert pull(_model("net.caffemodel"), mirror=server.url).fetched


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_store_that_is_not_ours(home: Path, mirror: Path) -> None:
    home.mkdir(parents=True)
    home.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        pull(_model(), mirror=mirror)


@pytest.mark.parametrize("place", ["home", "models", "net"])
def test_a_file_where_a_folder_should_be(tmp_path: Path, mirror: Path, place: str) -> None:
    path = {
        "home": tmp_path / "home",
        "models": tmp_path / "home/models",
        "net": tmp_path / "home/models/.net.part",
    }
    path[place].parent.mkdir(parents=True, exist_ok=True)
    path[place].write_text("in the way")
    with pytest.raises(StorageError):
        pull(_model(), mirror=mirror)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("", None),
        ("{mirror}", Path),
        ("file://{mirror}", Path),
        ("https://example.com/models/", "https://example.com/models"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80"),
        ("http://example.com", UsageError),
        ("ftp://example.com", UsageError),
        ("{mirror}/absent", NotFoundError),
        ("file:///absent", NotFoundError),
        ("a\0b", NotFoundError),
    ],
)
def test_mirrors(mirror: Path, monkeypatch: pytest.MonkeyPatch, given: str, answer: object) -> None:
    text = given.format(mirror=mirror)
    find: list[Callable[[], object]] = [lambda: find_mirror(text)]
    if "\0" not in text:
        monkeypatch.setenv("EDGEPROOF_MIRROR", text)
        find.append(find_mirror)
    for call in find:
        if isinstance(answer, type) and issubclass(answer, EdgeproofError):
            with pytest.raises(answer):
                call()
        else:
            assert call() == (mirror if answer is Path else answer)


def test_nothing_is_fetched_elsewhere_where_a_mirror_lacks_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "fetch", lambda *_, **__: pytest.fail("the network was used"))
    with pytest.raises(DownloadError, match="mirror has no"):
        pull(_model(), mirror=tmp_path)
