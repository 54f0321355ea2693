"""A video is written whole, under its name only when it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import StorageError
from edgeproof.streams import video_writer
from edgeproof.streams.sources import frames
from edgeproof.streams.video_writer import VideoWriter, frame_rate, video_name

cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")


def _picture(red: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), (red, 0, 0), np.uint8)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "new" / "film.mp4", 12.5) as writer:
        for number in range(8):
            writer.write(_picture(30 * number))
            assert not (tmp_path / "new" / "film.mp4").exists()
        writer.write(_picture(200, 128, 96))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["film.mp4"]
    found = [frame.pixels() for frame in frames(str(writer.path))]
    assert [pixels.shape for pixels in found] == [(48, 64, 3)] * 9
    for number, pixels in enumerate(found[:8]):
        assert abs(float(pixels[..., 0].mean()) - 30 * number) < 12
    assert frame_rate(str(writer.path)) == pytest.approx(12.5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_done_before_an_interruption_is_whole(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "film.mp4", 10) as writer:
            for number in range(5):
                writer.write(_picture(number))
            raise error

    with pytest.raises(error):
        interrupted()
    assert len(list(frames(str(tmp_path / "film.mp4")))) == 5


def test_no_picture_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", 10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_motion_jpeg_where_there_is_no_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_writer, "_KINDS", ((".mp4", "zzzz"), (".avi", "MJPG")))
    real = cv2.VideoWriter

    def choosy(name: str, *more: Any) -> Any:
        return real() if name.endswith(".mp4") else real(name, *more)

    choosy.fourcc = real.fourcc  # type: ignore[attr-defined]
    monkeypatch.setattr(cv2, "VideoWriter", choosy)
    with VideoWriter(tmp_path / "film.mp4", 10) as writer:
        writer.write(_picture(9))
    assert [path.name for path in tmp_path.iterdir()] == ["film.avi"]
    assert len(list(frames(str(tmp_path / "film.avi")))) == 1


def test_a_video_that_came_out_broken_is_not_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"what was there")
    monkeypatch.setattr(video_writer, "_is_whole", lambda _: False)
    writer = VideoWriter(tmp_path / "film.mp4", 10)
    writer.write(_picture(1))
    with pytest.raises(StorageError, match="could not be written"):
        writer.close()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"what was there"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        VideoWriter(tmp_path / "file" / "film.mp4", 10).write(_picture(1))


@pytest.mark.parametrize("rate", [0, float("nan"), float("inf"), -5, 1e9])
def test_a_rate_that_is_none_is_the_usual_one(tmp_path: Path, rate: float) -> None:
    with VideoWriter(tmp_path / "film.mp4", rate) as writer:
        writer.write(_picture(1))
    assert frame_rate(str(writer.path)) == pytest.approx(25)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/clip.mov", "clip.mp4"),
        ("http://me:secret@host/x/film.webm?key=1", "film.mp4"),
        ("a.b.avi", "a.b.mp4"),
    ],
)
def test_the_copy_is_called_as_the_video(source: str, name: str) -> None:
    assert video_name(source) == name
