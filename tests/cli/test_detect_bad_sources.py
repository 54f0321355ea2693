"""`edgeproof detect` on sources that go wrong: what was found before is kept, and a bad one harms no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.cli.main import main
from edgeproof.streams import sources
from edgeproof.streams.frame import Frame
from edgeproof.streams.live import Reconnect, live_frames
from imaging.picture_files import encode, scene
from tasks.detection.small_detector import small_detector

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as caught:
            main(["detect", *(str(argument) for argument in arguments), "--json"])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), json.loads(captured.out or "{}"), " ".join(captured.err.split())

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnx", reason="needs onnx, to make a network")
    return small_detector(tmp_path / "small.onnx", (1, 3, 64, 64))


def test_one_bad_picture_of_a_thousand_is_one_line_and_the_others_are_done(
    run: Run, model: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    good = encode(scene(32, 24), "JPEG")
    for number in range(1000):
        (album / f"{number:04}.jpg").write_bytes(good if number != 500 else good[: len(good) // 2])
    code, document, err = run(album, "--model", model, "--conf", "0.01")
    rows = document["images"]
    assert code == 1
    assert [Path(row["path"]).stem for row in rows] == [f"{number:04}" for number in range(1000)]
    assert [place for place, row in enumerate(rows) if row["error"]] == [500]
    assert rows[500]["error"]["code"] == "truncated_image"
    assert rows[500]["timing_ms"] is None
    assert all(row["timing_ms"]["total"] > 0 for row in rows if not row["error"])
    assert {len(row["detections"]) for row in rows if not row["error"]} == {len(rows[0]["detections"])}
    assert err.count("0500.jpg") == 1
    assert "1000 pictures" in err
    assert "1 errors" in err


class _Camera:
    """Gives so many frames, then is gone."""

    def __init__(self, frames: int) -> None:
        self._left = frames

    def isOpened(self) -> bool:
        return self._left > 0

    def read(self) -> tuple[bool, Any]:
        self._left -= 1
        return self._left >= 0, np.zeros((48, 64, 3), np.uint8)

    def get(self, what: int) -> float:
        return 0.0

    def release(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Camera 7 gives pictures and goes away for good; one is asked to come back without a wait."""
    left = [_Camera(3)]

    def opener(source: Any) -> _Camera:
        return left.pop() if left else _Camera(0)

    def live(source: str | int, **given: Any) -> Iterator[Frame]:
        given["reconnect"] = Reconnect(most=2, first_s=0.0, longest_s=0.0)
        return live_frames(source, **given, opener=opener)

    monkeypatch.setattr(sources, "live_frames", live)


def test_a_camera_that_vanishes_leaves_what_was_found(
    run: Run, model: Path, tmp_path: Path, camera: None
) -> None:
    coco = tmp_path / "found.json"
    code, document, err = run("7", "--model", model, "--limit", 1000, "--coco", coco)
    assert code == 1
    assert 1 <= len(document["images"]) <= 3
    assert len(json.loads(coco.read_text())["images"]) == len(document["images"])
    (lost,) = document["lost"]
    assert lost["source"] == "7"
    assert lost["error"]["code"] == "source"
    assert "camera:7 went away and did not come back in 2 attempts" in err


def _picture(folder: Path) -> Path:
    (folder / "a.png").write_bytes(encode(scene(32, 24), "PNG"))
    return folder / "a.png"


def _without_photos(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _without_frames(folder: Path) -> Path:
    cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    cv2.VideoWriter(str(folder / "none.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)).release()
    return folder / "none.avi"


def _broken_index(folder: Path) -> Path:
    cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    file = folder / "cut.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for value in range(9):
        writer.write(np.full((48, 64, 3), 9 * value, np.uint8))
    writer.release()
    file.write_bytes(file.read_bytes()[:700])
    return file


@pytest.mark.parametrize("make", [_without_photos, _without_frames, _broken_index])
def test_a_source_without_pictures_is_an_error_and_harms_no_other(
    run: Run, model: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    bad, good = make(tmp_path), _picture(tmp_path)
    code, document, err = run(bad, "--model", model)
    assert (code, document) == (1, {})
    assert str(bad) in err
    code, document, err = run(good, bad, good, "--model", model)
    assert code == 1
    assert [row["path"] for row in document["images"]] == [str(good), str(good)]
    assert [row["source"] for row in document["lost"]] == [str(bad)]
    assert str(bad) in err


def _sizes(document: dict[str, Any]) -> Sequence[list[int]]:
    return [row["input_size"] for row in document["images"]]


def test_a_network_of_any_size_says_which_sizes_it_was_shown(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx, to make a network")
    model = small_detector(tmp_path / "free.onnx", (1, 3, "h", "w"))
    for name, size in {"a": (64, 48), "b": (64, 47), "c": (48, 64), "d": (64, 64)}.items():
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    code, document, err = run(tmp_path, "--model", model, "--long-side", 64)
    assert code == 0
    assert _sizes(document) == [[64, 64], [64, 64], [64, 64], [64, 64]]
    code, document, err = run(tmp_path, "--model", model, "--long-side", 128)
    assert _sizes(document) == [[128, 96], [128, 96], [96, 128], [128, 128]]
    assert "it was shown 128 x 96 (2), 96 x 128 (1), 128 x 128 (1)" in err
