"""Real networks find on COCO what their published code finds, in each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.library.detect.detector import Detector
from edgeproof.library.detect.evaluate import LEAST, OVERLAP, evaluate_objects
from edgeproof.verify.mean_average_precision import Answered, mean_average_precision
from edgeproof.verify.object_labels import read_yolo


def _ours(shared: Path, model: str, **settings: Any) -> float:
    coco = shared / "data/coco"
    settings = {"iou": OVERLAP, **settings}
    with Detector(shared / "models" / model, confidence=LEAST, **settings) as detector:
        found = evaluate_objects(coco / "images", coco / "labels", detector, workers=2)
    assert (found.images, found.failures) == (56, [])
    assert found.result.map is not None
    return found.result.map


def _frame(cv2: Any, file: Path) -> tuple[np.ndarray, float, tuple[int, int]]:
    """As YOLOX's published preprocessing: BGR 0 to 255, enlarged or reduced to fit, 114 beside it."""
    picture = cv2.imread(str(file))
    height, width = picture.shape[:2]
    scale = min(416 / height, 416 / width)
    inner = cv2.resize(picture, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_LINEAR)
    frame = np.full((416, 416, 3), 114, np.uint8)
    frame[: inner.shape[0], : inner.shape[1]] = inner
    return frame.transpose(2, 0, 1)[None].astype(np.float32), scale, (width, height)


def _boxes(rows: np.ndarray) -> np.ndarray:
    """Grid and strides, level by level."""
    levels = []
    for stride in (8, 16, 32):
        line, column = np.mgrid[: 416 // stride, : 416 // stride]
        levels += [(x, y, stride) for x, y in zip(column.ravel(), line.ravel(), strict=True)]
    grid = np.array(levels, float)
    centre = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
    half = np.exp(rows[:, 2:4]) * grid[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _kept(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Suppression, one box after the other."""
    kept: list[int] = []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for one in np.argsort(-scores):
        low = np.maximum(boxes[one, :2], boxes[kept, :2])
        high = np.minimum(boxes[one, 2:], boxes[kept, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        if not (shared / (areas[one] + areas[kept] - shared) > OVERLAP).any():
            kept.append(int(one))
    return kept


@pytest.fixture(scope="module")
def reference(shared: Path) -> float:
    """YOLOX-nano's mAP with the published preprocessing, and everything else written out step by step."""
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV, with which the network was trained")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(shared / "models/yolox-nano.onnx"))
    answers = []
    for file in sorted((shared / "data/coco/images").glob("*.jpg")):
        frame, scale, (width, height) = _frame(cv2, file)
        rows = session.run(None, {"images": frame})[0][0]
        products = rows[:, 4:5] * rows[:, 5:]
        scores, classes = products.max(axis=1), products.argmax(axis=1)
        likely = scores > LEAST
        boxes, scores, classes = _boxes(rows)[likely] / scale, scores[likely], classes[likely]
        kept = [
            int(np.flatnonzero(classes == kind)[place])
            for kind in np.unique(classes)
            for place in _kept(boxes[classes == kind], scores[classes == kind])
        ]
        truth = read_yolo(shared / "data/coco/labels" / f"{file.stem}.txt", width, height)
        answers.append(Answered(boxes[kept], scores[kept], classes[kept], truth))
    found = mean_average_precision(answers).map
    assert found is not None
    return found


def test_yolox_is_as_good_as_its_published_code(shared: Path, reference: float) -> None:
    assert _ours(shared, "yolox-nano.onnx") == pytest.approx(reference, abs=0.003)
    assert reference > 0.38


def test_the_same_network_in_another_format(shared: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert (the extra `litert`)")
    whole = _ours(shared, "yolox-nano.onnx")
    assert _ours(shared, "yolox-nano-fp16.tflite", engine="litert") == pytest.approx(whole, abs=0.002)


def test_fastestdet(shared: Path) -> None:
    # Its page states 0.253 on all of COCO val2017.
    assert _ours(shared, "fastestdet.onnx", iou=None) == pytest.approx(0.24, abs=0.02)
