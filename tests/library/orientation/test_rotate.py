"""Upright copies of a collection: nothing lost, nothing overwritten, no photo stops the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from edgeproof.core.errors import DiskFullError, EngineError, NotFoundError, StorageError
from edgeproof.core.results import OrientationResult
from edgeproof.imaging.decode import decode
from edgeproof.library.orientation import rotate as library
from edgeproof.library.orientation.rotate import PhotoReport, find_for_rotation, rotate, summarize
from edgeproof.tasks.orientation import Orientation
from imaging.picture_files import bomb, encode, scene, with_exif

SCENE = scene(64, 48)


class TopLeftIsBlue(Orientation):
    """Knows `scene`: it stands upright when its top left corner is the blue one."""

    def look(self, pixels: np.ndarray) -> OrientationResult:
        quarter = [np.rot90(pixels, -k)[:10, :10, 2].mean() for k in range(4)]
        best = int(np.argmax(quarter))
        if quarter[best] < 150:
            return OrientationResult(0, 0.4, "unsure", np.array([0.4, 0.2, 0.2, 0.2]))
        probabilities = np.full(4, 0.01)
        probabilities[best] = 0.97
        return OrientationResult(90 * best, 0.97, "turn" if best else "keep", probabilities)


@pytest.fixture
def orientation() -> Iterator[Orientation]:
    with TopLeftIsBlue() as opened:
        yield opened


def _turned(k: int) -> np.ndarray:
    """The scene turned k times counter-clockwise: k turns clockwise put it upright."""
    return np.ascontiguousarray(np.rot90(SCENE, k))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    files = {
        "album/upright.jpg": encode(SCENE, "JPEG", quality=90),
        "album/2020/turned 90.jpg": encode(_turned(1), "JPEG", quality=90),
        "album/2020/exif 6.jpg": with_exif("JPEG", 6),
        "album/2020/may/turned 180.png": encode(_turned(2), "PNG"),
        "album/2020/may/turned 270.webp": encode(_turned(3), "WEBP", lossless=True),
        "album/grey.png": encode(np.full((20, 30, 3), 90, np.uint8), "PNG"),
    }
    broken = {
        "album/broken/empty.jpg": b"",
        "album/broken/text.jpg": b"these are words",
        "album/broken/bomb.png": bomb("PNG"),
        "album/broken/cut.jpg": encode(SCENE, "JPEG")[:-200],
    }
    for name, data in {**files, **broken}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, (1_500_000_000, 1_500_000_000))
    return tmp_path / "album"


def _run(
    paths: list[Path], orientation: Orientation, out: Path | None = None, workers: int = 2
) -> list[PhotoReport]:
    return list(rotate(find_for_rotation(paths, out), orientation, out=out, workers=workers))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("workers", [1, 4])
def test_each_photo_has_its_row_whatever_the_others_are(
    album: Path, orientation: Orientation, workers: int
) -> None:
    before = _files(album)
    rows = [report.as_json() for report in _run([album], orientation, workers=workers)]
    found = {Path(row["path"]).name: row for row in rows}
    assert {name: (row["decision"], row["turn"], row["exif_orientation"]) for name, row in found.items()} == {
        "upright.jpg": ("keep", 0, 1),
        "turned 90.jpg": ("turn", 90, 1),
        "turned 180.png": ("turn", 180, 1),
        "turned 270.webp": ("turn", 270, 1),
        "exif 6.jpg": ("turn", 270, 6),
        "grey.png": ("unsure", 0, 1),
        "empty.jpg": ("error", None, None),
        "text.jpg": ("error", None, None),
        "bomb.png": ("error", None, None),
        "cut.jpg": ("error", None, None),
    }
    assert found["bomb.png"]["error"]["code"] == "image_too_large"
    assert all(row["error"] is None or row["error"]["hint"] for row in rows)
    assert all((row["error"] is None) == (row["confidence"] is not None) for row in rows)
    assert _files(album) == before


def test_copies_are_upright_and_lose_nothing(album: Path, orientation: Orientation, tmp_path: Path) -> None:
    before, out = _files(album), tmp_path / "out"
    reports = _run([album], orientation, out)
    copies = _files(out)
    assert set(copies) == {name for name in before if not name.startswith("broken/")}
    assert _files(album) == before
    for report in reports:
        assert (report.copy is None) == (report.error is not None)
    for name, copy in copies.items():
        again = orientation(copy)
        assert again.decision in ("keep", "unsure"), name
        if name.endswith(".jpg"):  # the pixels as they are stored: not encoded again
            stored = [simplejpeg.decode_jpeg(data, "RGB") for data in (before[name], copy)]
            assert np.array_equal(*stored), name
        else:
            turn = {"turned 180.png": 2, "turned 270.webp": 3}.get(Path(name).name, 0)
            assert np.array_equal(decode(copy).pixels, np.rot90(decode(before[name]).pixels, -turn)), name
        assert (out / name).stat().st_mtime == 1_500_000_000
    for name in ("upright.jpg", "grey.png"):
        assert copies[name] == before[name]


def test_a_second_run_finds_its_own_copies(album: Path, orientation: Orientation, tmp_path: Path) -> None:
    first = _run([album], orientation, tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    second = _run([album], orientation, tmp_path / "out")
    assert [report.as_json() for report in second] == [report.as_json() for report in first]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times


def test_another_file_is_never_overwritten(album: Path, orientation: Orientation, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "upright.jpg").write_bytes(b"mine")
    reports = {report.path.name: report for report in _run([album], orientation, out)}
    assert (out / "upright.jpg").read_bytes() == b"mine"
    assert isinstance(reports["upright.jpg"].error, StorageError)
    assert reports["upright.jpg"].as_json()["decision"] == "error"
    assert reports["turned 90.jpg"].copy == out / "2020" / "turned 90.jpg"


def test_copies_inside_the_album_are_not_taken_for_photos(album: Path, orientation: Orientation) -> None:
    first = _run([album], orientation, album / "upright")
    second = _run([album], orientation, album / "upright")
    assert [report.path for report in second] == [report.path for report in first]
    assert not (album / "upright" / "upright").is_dir()


def test_the_album_itself_as_out_changes_no_photo(album: Path, orientation: Orientation) -> None:
    before = _files(album)
    assert _run([album], orientation, album) == []
    assert _files(album) == before


def test_photos_of_one_name_dont_replace_each_other(orientation: Orientation, tmp_path: Path) -> None:
    for folder, pixels in (("a", _turned(1)), ("b", SCENE // 2)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "p.png")
    reports = _run([tmp_path / "a", tmp_path / "b"], orientation, tmp_path / "out", workers=1)
    assert [report.error is None for report in reports] == [True, False]
    assert np.array_equal(decode(tmp_path / "out" / "p.png").pixels, SCENE)


def test_a_full_disk_ends_it_and_leaves_nothing_half_written(
    album: Path, orientation: Orientation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError):
            _run([album], orientation, tmp_path / "out")
    assert _files(tmp_path / "out") == {}


@pytest.mark.parametrize("paths", [["nowhere"], ["album", "nowhere"], ["nul\0"]])
def test_a_path_that_is_not_there_is_told_before_anything_is_done(
    album: Path, tmp_path: Path, paths: list[str]
) -> None:
    with pytest.raises(NotFoundError):
        find_for_rotation([tmp_path / path for path in paths])


def test_a_network_that_fails_is_an_error_row(album: Path) -> None:
    class Failing(TopLeftIsBlue):
        def look(self, pixels: np.ndarray) -> OrientationResult:
            raise EngineError("It failed.", hint="Try again.")

    with Failing() as orientation:
        reports = _run([album], orientation)
    assert {report.as_json()["decision"] for report in reports} == {"error"}
    assert len(reports) == 10


def test_the_summary_counts_every_decision(album: Path, orientation: Orientation) -> None:
    summary = summarize(_run([album], orientation), 1.23456)
    assert summary == {"photos": 10, "keep": 1, "turn": 4, "unsure": 1, "errors": 4, "seconds": 1.235}
    assert library.summarize([], 0.0)["photos"] == 0
