"""A detector runs networks of every kind of input, from several threads, and refuses answers that are none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import InputError, NotFoundError, UsageError
from edgeproof.tasks.detection import ObjectDetector
from edgeproof.tasks.detection.open import Wish
from tasks.detection.small_detector import small_detector

pytest.importorskip("onnx", reason="needs onnx, to make networks")


def _bright_right(width: int = 128, height: int = 64) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return pixels


@pytest.mark.parametrize(
    ("shape", "kind", "last"),
    [
        ((1, 3, 64, 128), "FLOAT", False),
        (("N", 3, 64, 128), "FLOAT", False),
        ((4, 3, 64, 128), "FLOAT", False),
        ((1, 3, "h", "w"), "FLOAT", False),
        ((1, 3, 64, 128), "FLOAT16", False),
        ((1, 64, 128, 3), "FLOAT", True),
        ((1, 64, 128, 3), "UINT8", True),
    ],
)
def test_every_kind_of_input(tmp_path: Path, shape: tuple[int | str, ...], kind: str, last: bool) -> None:
    model = small_detector(tmp_path / "n.onnx", shape, kind=kind, last=last)
    wish = Wish(model, confidence=0.4, iou=0.99, long_side=128)
    with ObjectDetector(wish) as detector:
        _, task = detector.open()
        assert (task.decoder.name, task.decoder.classes) == ("fastestdet", 2)
        found = detector.detect(_bright_right())
        # Pictures of another shape need another frame of a network of free size, and another buffer.
        detector.detect(_bright_right(50, 300))
        again = detector.detect(_bright_right())
    middle = found.xyxy[:, [0, 2]].mean(axis=1)
    assert len(found) == 4 * 8
    assert set(found.class_id[middle > 60].tolist()) == {1}
    assert set(found.class_id[middle < 60].tolist()) == {0}
    assert np.array_equal(found.xyxy, again.xyxy)
    assert np.array_equal(found.class_id, again.class_id)


def test_threads_share_one_detector(tmp_path: Path) -> None:
    model = small_detector(tmp_path / "n.onnx", (1, 3, 64, 128))
    random = np.random.default_rng(0)
    pictures = [
        random.integers(0, 256, (int(h), int(w), 3), dtype=np.uint8)
        for h, w in random.integers(8, 200, (24, 2))
    ]
    with ObjectDetector(Wish(model, confidence=0.4)) as detector, ThreadPoolExecutor(4) as pool:
        alone = [detector.detect(picture) for picture in pictures]
        together = list(pool.map(detector.detect, pictures))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.xyxy, other.xyxy)
        assert np.array_equal(one.confidence, other.confidence)


def test_a_network_that_answers_nan_says_so(tmp_path: Path) -> None:
    model = small_detector(tmp_path / "n.onnx", (1, 3, 64, 128), bias=float("nan"))
    with ObjectDetector(Wish(model)) as detector, pytest.raises(InputError, match="not finite"):
        detector.detect(_bright_right())


@pytest.mark.parametrize(
    "pixels", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))]
)
def test_what_is_no_picture(tmp_path: Path, pixels: np.ndarray) -> None:
    with ObjectDetector(Wish(small_detector(tmp_path / "n.onnx", (1, 3, 64, 128)))) as detector:
        with pytest.raises(InputError):
            detector.detect(pixels)
        assert len(detector.detect(_bright_right(1, 1))) >= 0


def test_a_model_that_is_not_there_and_a_wish_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ObjectDetector(Wish(tmp_path / "none.onnx")).open()
    with pytest.raises(UsageError, match="confidence is 2"):
        ObjectDetector(Wish(tmp_path / "none.onnx", confidence=2))
