"""A first, small look: enough where all faces are large, and never instead of a full one elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.faces import FaceDetections
from edgeproof.imaging.boxes import iou
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection import FaceDetectionTask, FaceDetector
from edgeproof.tasks.face_detection.task import GLANCE_SIDE
from edgeproof.tasks.face_detection.ultraface import UltraFace

PORTRAIT, CROWD = "maksssksksss660.jpg", "maksssksksss556.jpg"


@pytest.fixture(scope="module")
def picture(shared: Path) -> Callable[[str, float], np.ndarray]:
    def enlarged(name: str, factor: float) -> np.ndarray:
        pixels = decode(shared / "data/facedet/images" / name).pixels
        size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))

    return enlarged


@pytest.fixture
def looks(shared: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FaceDetector, list[int]]:
    """A detector, and the long side of everything that its network is shown."""
    detector = FaceDetector(shared / "models" / "yunet-n-dynamic.onnx", long_side=640)
    seen: list[int] = []
    first = FaceDetectionTask.tensor

    def noted(self: FaceDetectionTask, frame: tuple) -> object:  # type: ignore[type-arg]
        seen.append(max(frame[0].shape[:2]))
        return first(self, frame)

    monkeypatch.setattr(FaceDetectionTask, "tensor", noted)
    return detector, seen


def test_a_large_face_takes_one_small_look(
    looks: tuple[FaceDetector, list[int]], picture: Callable[[str, float], np.ndarray]
) -> None:
    detector, seen = looks
    portrait = picture(PORTRAIT, 2.0)
    glanced = detector.glance(portrait)
    assert seen == [GLANCE_SIDE]
    full = detector.detect(portrait)
    assert len(glanced) == len(full) == 1
    assert iou(glanced.boxes, full.boxes)[0, 0] > 0.8


@pytest.mark.parametrize("what", ["a crowd", "no face", "a small picture"])
def test_otherwise_it_is_the_full_look(
    looks: tuple[FaceDetector, list[int]], picture: Callable[[str, float], np.ndarray], what: str
) -> None:
    detector, seen = looks
    name, factor = {"a crowd": (CROWD, 1.6), "a small picture": (PORTRAIT, 1.0)}.get(what, ("", 0.0))
    pixels = picture(name, factor) if name else np.full((480, 640, 3), 90, np.uint8)
    glanced, full = detector.glance(pixels), detector.detect(pixels)
    assert np.array_equal(glanced.boxes, full.boxes)
    assert np.array_equal(glanced.scores, full.scores)
    assert (GLANCE_SIDE in seen) == (what != "a small picture")


def _found(side: float, score: float) -> FaceDetections:
    return FaceDetections(
        np.array([[10, 10, 10 + side, 20 + side]], np.float32), np.array([score], np.float32)
    )


@pytest.mark.parametrize(
    ("side", "score", "all_there_is"),
    [(100, 0.9, True), (100, 0.6, False), (40, 0.9, False), (48, 0.75, True)],
)
def test_only_large_and_sure_faces_are_all_there_is(side: float, score: float, all_there_is: bool) -> None:
    """At 640 pixels a face of 48 has 24 in the small look."""
    task = FaceDetectionTask(long_side=640)
    assert task.is_all(_found(side, score), np.empty((480, 640, 3), np.uint8)) is all_there_is
    assert not task.is_all(FaceDetections.none(), np.empty((480, 640, 3), np.uint8))


@pytest.mark.parametrize(
    "task",
    [
        FaceDetectionTask(size=(640, 480)),
        FaceDetectionTask(UltraFace("scores", "boxes")),
        FaceDetectionTask(long_side=400),
    ],
)
def test_networks_for_which_it_was_not_measured_or_saves_nothing_have_none(task: FaceDetectionTask) -> None:
    assert task.glance(np.empty((480, 640, 3), np.uint8)) is None


def test_a_lower_confidence_that_was_asked_for_is_the_one_that_counts() -> None:
    small = FaceDetectionTask(confidence=0.2).glance(np.empty((960, 1280, 3), np.uint8))
    assert small is not None
    assert (small.confidence, small.long_side) == (0.2, GLANCE_SIDE)
