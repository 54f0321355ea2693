"""SCRFD (Guo et al. 2021, arXiv 2105.04714): distances from a place to the four sides of the face there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.face_detection.decoder import (
    Candidates,
    Decoder,
    Form,
    cells,
    check_count,
    chosen,
    rows,
    taken,
)

# By the number of outputs: how many strides, beginning with 8, and whether there are landmarks.
_FORMS = {6: (3, False), 9: (3, True), 10: (5, False), 15: (5, True)}


@dataclass(frozen=True)
class Scrfd(Decoder):
    """Scores, distances and (in some) landmarks for each stride, for one or two equal anchors at a place.

    Attributes:
        scores, boxes: names of the outputs, stride by stride.
        landmarks: likewise; empty where there are none.
    """

    scores: tuple[str, ...]
    boxes: tuple[str, ...]
    landmarks: tuple[str, ...]

    name = "scrfd"
    expects = "6, 9, 10 or 15 outputs: rows of 1 (scores) for each stride, then of 4 (boxes), then of 10 (landmarks)"
    form = Form(mean=(127.5, 127.5, 127.5), scale=1 / 128)
    confidence = 0.5
    iou = 0.4

    @classmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> Scrfd | None:
        """By the number of outputs, and their order: the files have numbers for names."""
        if len(outputs) not in _FORMS:
            return None
        strides, marked = _FORMS[len(outputs)]
        widths = [1] * strides + [4] * strides + [10] * strides * marked
        if [spec.shape[-1] if spec.shape else None for spec in outputs] != widths:
            return None
        names = [spec.name for spec in outputs]
        parts = [tuple(names[start : start + strides]) for start in range(0, len(names), strides)]
        return cls(parts[0], parts[1], parts[2] if marked else ())

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        levels = [self._level(outputs, level, size, least) for level in range(len(self.scores))]
        boxes, scores, marks = (np.concatenate(part) for part in zip(*levels, strict=True))
        return Candidates(boxes, scores, marks if self.landmarks else None)

    def _level(
        self, outputs: Mapping[str, Array], level: int, size: tuple[int, int], least: float
    ) -> tuple[Any, Any, Any]:
        stride = 8 << level
        columns, lines = cells(size, stride)
        values, sides = rows(outputs[self.scores[level]], 1), rows(outputs[self.boxes[level]], 4)
        each = max(1, len(values) // (columns * lines))  # anchors at a place
        check_count(len(values), columns * lines * each, size)
        check_count(len(sides), len(values), size)
        places, scores = chosen(values[:, 0], least)
        cell = places // each
        middle = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32) * stride
        reach = taken(sides, places) * stride
        boxes = np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], axis=1)
        if not self.landmarks:
            return boxes, scores, np.empty((len(places), 0), np.float32)
        marks = rows(outputs[self.landmarks[level]], 10)
        check_count(len(marks), len(values), size)
        return boxes, scores, taken(marks, places).reshape(-1, 5, 2) * stride + middle[:, None]
