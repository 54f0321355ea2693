"""Videos through the detector: objects followed, copies with the objects drawn in, the order of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.detections import Detections
from edgeproof.core.errors import InputError
from edgeproof.core.protocols import Pixels
from edgeproof.imaging.decode import decode
from edgeproof.library.detect.detector import Detector, ImageDetections
from edgeproof.library.detect.results import Names, ResultFiles, coco_document
from edgeproof.streams.frame import Frame
from edgeproof.streams.sources import frames

cv2: Any = pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
_BEARS = "data/coco/images/000000000776.jpg"
FRAMES = 8


@pytest.fixture
def detector(shared: Path) -> Iterator[Detector]:
    with Detector(shared / "models/yolox-nano.onnx") as made:
        yield made


@pytest.fixture
def video(shared: Path, tmp_path: Path) -> Path:
    """A camera that moves down over three teddy bears."""
    bears = decode(shared / _BEARS).pixels[..., ::-1]
    path = tmp_path / "pan.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (428, 480))
    for number in range(FRAMES):
        writer.write(np.ascontiguousarray(bears[20 * number : 20 * number + 480]))
    writer.release()
    return path


def test_objects_keep_their_numbers(detector: Detector, video: Path) -> None:
    reports = list(detector.stream(video, workers=2, track=True))
    plain = list(detector.stream(video, workers=2))
    assert len(reports) == FRAMES
    best = [report.detections for report in reports]
    # The bear that fills the right half of the picture.
    right = [found.data["track_id"][int(found.xyxy[:, 0].argmax())] for found in best[:5]]
    assert right == [right[0]] * 5
    for report, usual in zip(reports, plain, strict=True):
        rows = report.as_json()["detections"]
        assert all(row["track_id"] is None or row["track_id"] > 0 for row in rows)
        sure = report.detections.confidence >= detector.task.least
        assert np.array_equal(report.detections.xyxy[sure], usual.detections.xyxy)
        assert "track_id" not in usual.detections.data
        assert report.detections.data["class_name"].shape == (len(report.detections),)


def test_many_threads_give_what_one_gives(detector: Detector, video: Path) -> None:
    one, many = (list(detector.stream(video, workers=workers, track=True)) for workers in (1, 4))
    by_hand = [detector(frame.pixels()) for frame in frames(str(video))]
    assert [report.frame.index for report in many if report.frame] == list(range(FRAMES))
    for mine, its in zip(one, many, strict=True):
        assert np.array_equal(mine.detections.xyxy, its.detections.xyxy)
        assert np.array_equal(mine.detections.data["track_id"], its.detections.data["track_id"])
    for its, alone in zip(detector.stream(video, workers=4), by_hand, strict=True):
        assert np.array_equal(its.detections.xyxy, alone.xyxy)


def test_numbers_are_in_cocos_document_and_given_to_supervision(detector: Detector, video: Path) -> None:
    reports = list(detector.stream(video, track=True, limit=2))
    document = coco_document(reports, None)
    assert {row["track_id"] for row in document["annotations"] if row["image_id"] == 1} == {1, 2, 3}
    pytest.importorskip("supervision", reason="needs supervision (the extra `supervision`)")
    found = reports[0].detections
    assert found.to_supervision().tracker_id.tolist() == found.data["track_id"].tolist()


def test_a_video_gives_a_video_with_the_objects_drawn_in(
    detector: Detector, video: Path, tmp_path: Path
) -> None:
    with ResultFiles(str(video), (Names(), Names()), tmp_path / "drawn", None) as files:
        for report in detector.stream(video, keep_pixels=True, track=True):
            files.write(report)
    (made,) = (tmp_path / "drawn").iterdir()
    assert made.stem == "pan"
    copies, originals = (list(frames(str(path))) for path in (made, video))
    assert len(copies) == FRAMES
    one, other = copies[0].pixels().astype(int), originals[0].pixels().astype(int)
    assert one.shape == other.shape
    green = np.abs(one - [0, 220, 90]).max(axis=2) < 60
    assert 500 < green.sum() < green.size / 4


def test_the_file_that_is_looked_at_is_never_overwritten(
    detector: Detector, video: Path, shared: Path, tmp_path: Path
) -> None:
    film, photo = video.rename(tmp_path / "pan.mp4"), tmp_path / "a.jpg"
    photo.write_bytes((shared / _BEARS).read_bytes())
    before = film.read_bytes(), photo.read_bytes()
    for source in (film, photo):
        with ResultFiles(str(source), (Names(), Names()), tmp_path, None) as files:
            for report in detector.stream(source, keep_pixels=True, limit=2):
                files.write(report)
    assert (film.read_bytes(), photo.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-drawn.jpg",
        "a.jpg",
        "pan-drawn.mp4",
        "pan.mp4",
    ]


def _broken(frame: Frame) -> ImageDetections:
    return ImageDetections(
        frame.name, None, None, Detections.none(), {}, InputError("NaN", hint="None."), frame
    )


def test_a_frame_that_could_not_be_looked_at_has_its_place(
    detector: Detector, video: Path, tmp_path: Path
) -> None:
    with ResultFiles(str(video), (Names(), Names()), tmp_path / "drawn", tmp_path / "texts") as files:
        for report in detector.stream(video, keep_pixels=True):
            assert report.frame is not None
            files.write(_broken(report.frame) if report.frame.index in (0, 3) else report)
    (made,) = (tmp_path / "drawn").iterdir()
    assert len(list(frames(str(made)))) == FRAMES
    assert len(list((tmp_path / "texts").iterdir())) == FRAMES - 2


def test_two_videos_of_one_name_get_two_copies(video: Path, tmp_path: Path) -> None:
    names = Names(), Names()
    for _ in range(2):
        with ResultFiles(str(video), names, tmp_path / "drawn", None) as files:
            for frame in frames(str(video)):
                pixels: Pixels = frame.pixels()
                report = ImageDetections(frame.name, 428, 480, Detections.none(), {}, None, frame, pixels)
                files.write(report)
    assert sorted(path.stem for path in (tmp_path / "drawn").iterdir()) == ["pan", "pan-2"]


def test_photos_are_followed_too_in_their_order(detector: Detector, shared: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes((shared / _BEARS).read_bytes())
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    reports = list(detector.stream(tmp_path, workers=2, track=True))
    one, other = (reports[place].detections.data["track_id"].tolist() for place in (0, 2))
    assert one == other == [1, 2, 3]
    assert reports[1].error is not None
