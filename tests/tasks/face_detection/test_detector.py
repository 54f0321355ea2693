"""FaceDetector: what it takes, how it is steered, and what it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import InputError, ModelError, UsageError
from edgeproof.core.faces import FaceDetections
from edgeproof.imaging.boxes import iou
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection import FaceDetectionTask, FaceDetector

PICTURE = "data/facedet/images/maksssksksss556.jpg"


@pytest.fixture(scope="module")
def yunet(shared: Path) -> Path:
    return shared / "models" / "yunet-n-dynamic.onnx"


@pytest.fixture(scope="module")
def pixels(shared: Path) -> np.ndarray:
    return decode(shared / PICTURE).pixels


def _same(one: FaceDetections, other: FaceDetections, least: float = 0.7) -> bool:
    """Whether each has a face where the other has one."""
    if len(one) != len(other):
        return False
    overlaps = iou(one.boxes, other.boxes)
    return bool((overlaps.max(axis=0) > least).all() and (overlaps.max(axis=1) > least).all())


def test_faces_of_a_photo(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet) as detector:
        found = detector.detect(pixels)
    assert len(found) == 10
    assert (np.diff(found.scores) <= 0).all()
    assert found.landmarks is not None
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    assert (sides > 10).all()
    # Eyes above mouths, what is left in the picture left of what is right, all within the box (a little slack).
    marks = found.landmarks
    assert (marks[:, :2, 1].mean(axis=1) < marks[:, 3:, 1].mean(axis=1)).all()
    assert (marks[:, 0, 0] < marks[:, 1, 0] + 1).all()
    middle = marks.mean(axis=1)
    assert ((middle > found.boxes[:, :2]) & (middle < found.boxes[:, 2:])).all()


def test_the_two_steps_are_the_one(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet) as detector:
        whole, steps = detector.detect(pixels), detector.detect(pixels, detector.prepare(pixels))
    assert np.array_equal(whole.boxes, steps.boxes)
    assert np.array_equal(whole.scores, steps.scores)


def test_threads_give_what_one_gives(yunet: Path, shared: Path) -> None:
    photos = [decode(path).pixels for path in sorted((shared / "data/facedet/images").glob("*.jpg"))[:12]]
    with FaceDetector(yunet) as detector, ThreadPoolExecutor(4) as pool:
        serial = [detector.detect(photo) for photo in photos]
        threaded = list(pool.map(detector.detect, photos))
    for one, other in zip(serial, threaded, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)


def test_a_network_of_fixed_size_finds_the_same_faces(shared: Path, yunet: Path) -> None:
    pixels = decode(shared / "data/facedet/images/maksssksksss660.jpg").pixels
    with FaceDetector(shared / "models/yunet-n-640.onnx") as fixed, FaceDetector(yunet) as free:
        assert fixed.open()[1].size == (640, 640)
        assert _same(fixed.detect(pixels), free.detect(pixels))


def test_sizes_that_the_network_sees(yunet: Path) -> None:
    with FaceDetector(yunet) as detector:
        _, task = detector.open()
        for (width, height), wanted in {
            (250, 250): (512, 512),  # twice as large, then up to a multiple of 32
            (400, 267): (800, 544),
            (4000, 3000): (832, 640),
            (20, 20): (64, 64),
            (1, 1): (32, 32),
            (5000, 3): (832, 32),
        }.items():
            tensor = task.prepare(np.zeros((height, width, 3), np.uint8)).tensor
            assert tensor.shape == (3, wanted[1], wanted[0]), (width, height)
            assert tensor.dtype == np.float32


def test_a_smaller_long_side_is_a_smaller_picture(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet, long_side=320) as detector:
        assert max(detector.prepare(pixels)[0][0].shape) == 320
        assert len(detector.detect(pixels)) < 10


def test_several_scales_find_what_one_does_not(yunet: Path, shared: Path) -> None:
    pixels = decode(shared / "data/facedet/images/maksssksksss660.jpg").pixels
    huge = pixels[100:265, 115:250].repeat(8, axis=0).repeat(8, axis=1)  # a face of a thousand pixels
    one, two = FaceDetector(yunet), FaceDetector(yunet, scales=(1.0, 0.25))
    assert len(two.prepare(huge)) == 2
    with one, two:
        largest = max(two.detect(huge).scores, default=0.0)
    assert largest >= 0.7


def test_the_same_face_seen_at_two_scales_is_one(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet) as one, FaceDetector(yunet, scales=(1.0, 0.9)) as two:
        few, more = one.detect(pixels), two.detect(pixels)
    assert (iou(few.boxes, more.boxes).max(axis=1) > 0.5).all()
    assert np.triu(iou(more.boxes, more.boxes), 1).max() <= 0.5


def test_a_confidence_asked_for(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet, confidence=0.9) as detector:
        found = detector.detect(pixels)
    assert 0 < len(found) < 10
    assert (found.scores >= 0.9).all()


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("size", [(1, 1), (20, 20), (7, 300), (480, 640)])
def test_no_face_in_nothing(yunet: Path, size: tuple[int, int], value: int) -> None:
    with FaceDetector(yunet) as detector:
        found = detector.detect(np.full((*size, 3), value, np.uint8))
    assert len(found) == 0
    assert found.landmarks is not None


def test_many_faces(yunet: Path, shared: Path) -> None:
    face = decode(shared / "data/facedet/images/maksssksksss660.jpg").pixels[90:290, 90:270]
    small = face[::4, ::4]
    crowd = np.tile(small, (14, 15, 1))  # 210 of them, 45 x 50 pixels each
    with FaceDetector(yunet, long_side=1344) as detector:
        found = detector.detect(crowd)
    assert 200 <= len(found) <= 215


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(yunet: Path, pixels: np.ndarray) -> None:
    with FaceDetector(yunet) as detector, pytest.raises(InputError, match="array is"):
        detector.detect(pixels)


@pytest.mark.parametrize(
    "options",
    [
        {"confidence": 0.0},
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"iou": 0.0},
        {"iou": float("inf")},
        {"long_side": 0},
        {"long_side": 100_000},
        {"scales": ()},
        {"scales": (0.0,)},
        {"scales": (1.0, float("nan"))},
        {"scales": (9.0,)},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused_before_anything_is_opened(options: dict[str, float]) -> None:
    with pytest.raises(UsageError) as caught:
        FaceDetector("nowhere.onnx", **options)
    assert caught.value.hint


def test_a_network_for_something_else_is_refused(shared: Path) -> None:
    for name in ("mobilefacenet-foamliu.onnx", "fastestdet.onnx"):
        with pytest.raises(ModelError):
            FaceDetector(shared / "models" / name).open()


def test_it_opens_again_after_it_was_closed(yunet: Path, pixels: np.ndarray) -> None:
    detector = FaceDetector(yunet)
    first = detector.detect(pixels)
    detector.close()
    detector.close()
    assert np.array_equal(detector.detect(pixels).boxes, first.boxes)
    detector.close()


def test_what_a_manifest_keeps_makes_the_same_task(shared: Path) -> None:
    from edgeproof.tasks.face_detection.open import Wish, task_of
    from edgeproof.tasks.network import Network

    wish = Wish(None, "onnxruntime", {}, 1, None, None, None, None)
    with FaceDetector(shared / "models/yunet-n-640.onnx", confidence=0.6, long_side=500) as detector:
        engine, task = detector.open()
        kept = task.settings()
        assert all(isinstance(value, float) for value in kept.values())
        network = Network(engine, Path("yunet.onnx"), "yunet", kept)
        assert task_of(network, wish).settings() == kept
        task.check(engine.inputs, engine.outputs)


def test_a_task_says_what_it_is() -> None:
    task = FaceDetectionTask()
    assert (task.name, task.metric_name) == ("face-detection", "ap50")
    assert task.cover > 0
