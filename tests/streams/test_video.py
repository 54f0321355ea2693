"""Videos: every frame in order, those of a broken file too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import SourceError
from edgeproof.streams.events import StreamEvent
from edgeproof.streams.sources import frames

cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
FRAMES = 30


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """30 frames; frame i is of red 8 i, without green, with blue 255 - 8 i."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for number in range(FRAMES):
        writer.write(np.full((120, 160, 3), (255 - 8 * number, 0, 8 * number), np.uint8))
    writer.release()
    return path


def test_every_frame_comes_in_order_as_rgb_with_its_time(video: Path) -> None:
    found = list(frames(str(video)))
    assert [frame.index for frame in found] == list(range(FRAMES))
    for number, frame in enumerate(found):
        red, green, blue = frame.pixels().mean(axis=(0, 1))
        assert abs(red - 8 * number) < 8
        assert green < 10
        assert abs(blue - (255 - 8 * number)) < 8
        assert frame.pixels().flags.c_contiguous
    assert found[12].name == f"{video}#12"
    assert found[12].as_json() == {"path": str(video), "frame": 12, "time_s": 1.2}


def test_a_video_that_ends_early_gives_the_frames_that_there_are_and_says_so(video: Path) -> None:
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    events: list[StreamEvent] = []
    found = list(frames(str(video), notify=events.append))
    assert 3 < len(found) < FRAMES
    assert found[2].pixels().shape == (120, 160, 3)
    (event,) = events
    assert event.kind == "cut short"
    assert f"says that it has 30 frames, and {len(found)} could be read" in event.message


def test_a_whole_video_says_nothing(video: Path) -> None:
    events: list[StreamEvent] = []
    assert len(list(frames(str(video), notify=events.append))) == FRAMES
    assert not events


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\0\0\0\0AVI LIST", bytes(5000)])
def test_what_is_no_video_says_so(tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no.avi"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"can't be read as a video|no frame"):
        list(frames(str(path)))
    assert capfd.readouterr().out == ""


def test_a_video_without_its_index_says_so(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (160, 120))
    for number in range(FRAMES):
        writer.write(np.full((120, 160, 3), 8 * number, np.uint8))
    writer.release()
    assert len(list(frames(str(path)))) == FRAMES
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SourceError, match="can't be read as a video"):
        list(frames(str(path)))


def test_a_consumer_that_stops_lets_go_of_the_file(video: Path) -> None:
    found = frames(str(video))
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert list(found) == []
