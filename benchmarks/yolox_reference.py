"""YOLOX as its own repository runs it: what ours is compared with. Nothing of edgeproof decodes here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SIDE = 416


class YoloXReference:
    """Its published preprocessing and decoding, written out step by step, on ONNX Runtime.

    Arguments:
        file: the network.
        least: the score from which a candidate counts.
        overlap: the IoU above which two of one class are one object.
    """

    def __init__(self, file: Path, least: float, overlap: float) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._least, self._overlap = least, overlap
        levels = []
        for stride in (8, 16, 32):
            line, column = np.mgrid[: _SIDE // stride, : _SIDE // stride]
            steps = np.full(line.size, stride)
            levels.append(np.stack([column.ravel(), line.ravel(), steps], axis=1))
        self._grid = np.concatenate(levels).astype(float)

    def __call__(self, file: Path) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Boxes (N, 4), xyxy in pixels of the picture, scores and classes."""
        picture = cv2.imread(str(file))
        assert picture is not None
        height, width = picture.shape[:2]
        scale = min(_SIDE / height, _SIDE / width)
        inner = cv2.resize(picture, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_LINEAR)
        frame = np.full((_SIDE, _SIDE, 3), 114, np.uint8)
        frame[: inner.shape[0], : inner.shape[1]] = inner
        rows = self._session.run(None, {"images": frame.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        products = rows[:, 4:5] * rows[:, 5:]
        scores, classes = products.max(axis=1), products.argmax(axis=1)
        likely = scores > self._least
        boxes, scores, classes = self._boxes(rows)[likely] / scale, scores[likely], classes[likely]
        kept = [
            int(place)
            for kind in np.unique(classes)
            for place in self._suppressed(boxes, scores, np.flatnonzero(classes == kind))
        ]
        return boxes[kept], scores[kept].astype(float), classes[kept]

    def _boxes(self, rows: NDArray[np.float32]) -> Floats:
        centre = (rows[:, :2] + self._grid[:, :2]) * self._grid[:, 2:]
        half = np.exp(rows[:, 2:4]) * self._grid[:, 2:] / 2
        return np.concatenate([centre - half, centre + half], axis=1)

    def _suppressed(self, boxes: Floats, scores: NDArray[np.float32], places: NDArray[np.intp]) -> list[int]:
        """Of one class, one box after the other."""
        kept: list[int] = []
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        for one in places[np.argsort(-scores[places])]:
            low = np.maximum(boxes[one, :2], boxes[kept, :2])
            high = np.minimum(boxes[one, 2:], boxes[kept, 2:])
            shared = np.clip(high - low, 0, None).prod(axis=1)
            if not (shared / (areas[one] + areas[kept] - shared) > self._overlap).any():
                kept.append(int(one))
        return kept
