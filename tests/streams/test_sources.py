"""From a name to pictures: photos, folders, patterns, videos; what is not there says so."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import DataError, EdgeproofError, NotFoundError, TruncatedImageError, UsageError
from edgeproof.streams.capture import without_secrets
from edgeproof.streams.sources import frames, kind_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate(("b.png", "a.jpg", "sub/c.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", ["a.jpg", "b.png", "sub/c.png"]),
        ("b.png", ["b.png"]),
        ("*.png", ["b.png"]),
        ("**/*.png", ["b.png", "sub/c.png"]),
        ("[ab].*", ["a.jpg", "b.png"]),
    ],
)
def test_photos_come_in_order(photos: Path, source: str, names: list[str]) -> None:
    found = list(frames(str(photos / source)))
    assert [str(frame.path.relative_to(photos)) for frame in found if frame.path] == names
    assert [frame.index for frame in found] == list(range(len(names)))
    assert found[0].pixels().shape == (20, 30, 3)
    assert found[0].as_json() == {"path": str(photos / names[0])}
    assert not found[0].live


def test_a_file_with_the_letters_of_a_pattern_is_that_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "holiday [1].png")
    assert len(list(frames(str(tmp_path / "holiday [1].png")))) == 1


def test_a_bad_photo_is_its_own_error_and_only_when_it_is_looked_at(photos: Path) -> None:
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(whole[: len(whole) // 2])
    first, second, _ = frames(str(photos))
    with pytest.raises(TruncatedImageError):
        first.pixels()
    assert second.pixels().shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("nothing.jpg", NotFoundError),
        ("nothing.mp4", NotFoundError),
        ("*.webp", NotFoundError),
        ("empty", DataError),
        ("nul\0.jpg", NotFoundError),
        ("ftp://host/a.jpg", UsageError),
        ("file:///etc/passwd", UsageError),
        ("http://[::1/a.mp4", UsageError),
        ("", NotFoundError),
    ],
)
def test_what_is_not_there_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[EdgeproofError]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as met:
        list(frames(source))
    assert met.value.hint


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", "live"),
        ("camera:12", "live"),
        ("/dev/video0", "live"),
        ("rtsp://user:secret@host/stream", "live"),
        ("RTSP://host/stream.mp4", "live"),
        ("http://host/camera", "live"),
        ("https://host/film.MP4?x=1", "video"),
        ("film.MOV", "video"),
        ("photo.jpg", "photos"),
        ("1234", "photos"),
        ("camera:x", "photos"),
    ],
)
def test_what_a_name_means(source: str, kind: str) -> None:
    assert kind_of(source) == kind


def test_a_file_that_is_called_like_a_camera_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("0", format="png")
    assert next(iter(frames("0"))).pixels().shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@host:554/stream?token=secret", "rtsp://host:554/stream"),
        ("rtsp://secret@host/a@b", "rtsp://host/a@b"),
        ("rtsp://user:secret@[::1/x", "rtsp://..."),
        ("photos/a@b.jpg", "photos/a@b.jpg"),
    ],
)
def test_secrets_are_not_shown(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_stop_ends_a_folder(photos: Path) -> None:
    stop = threading.Event()
    found = frames(str(photos), stop=stop)
    next(found)
    stop.set()
    assert list(found) == []
