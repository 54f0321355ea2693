"""NanoDet-Plus and NanoDet: classes and, for each side of the box, a distribution over 8 distances (Li et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.decoder import (
    YOLO_STRIDES,
    Candidates,
    Form,
    Known,
    best_class,
    cell_count,
    check_count,
    fits,
    grid,
)
from edgeproof.tasks.detection.yolo import expected

_BINS = 8
_PLUS = (8, 16, 32, 64)


@dataclass(frozen=True)
class NanoDet:
    """Rows of (classes, 4 x 8 logits), a row a cell; the scores are 0 to 1.

    Attributes:
        output: its name.
        strides: 8 to 64 for NanoDet-Plus, whose points are the cells' corners; 8 to 32 for NanoDet, where they are
            the cells' middles.
        classes: how many classes it tells; None where its outputs don't say.
    """

    output: str
    strides: tuple[int, ...] = _PLUS
    classes: int | None = None

    name: ClassVar[str] = "nanodet"
    expects: ClassVar[str] = "one output [N, cells, classes + 32], cells of strides 8, 16, 32, 64"
    form: ClassVar[Form] = Form(
        mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), bgr=True, stretch=True, stride=64
    )
    confidence: ClassVar[float] = 0.35
    iou: ClassVar[float] = 0.6

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> NanoDet | None:
        """By the number of cells; that of NanoDet is YOLO's, so that it has to be named."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) != 3:
            return None
        _, rows, columns = known.outputs[0].shape
        width = None if known.classes is None else known.classes + 4 * _BINS
        if not isinstance(columns, int) or columns <= 4 * _BINS or not fits(columns, width):
            return None
        plus, plain = cell_count(known.size, _PLUS), cell_count(known.size, YOLO_STRIDES)
        if rows == plus or (named and fits(rows, plus)):
            return cls(known.outputs[0].name, classes=columns - 4 * _BINS)
        if named and rows == plain:
            return cls(known.outputs[0].name, YOLO_STRIDES, columns - 4 * _BINS)
        return None

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output], np.float32)
        places, steps = grid(size, self.strides, 0.0 if self.strides == _PLUS else 0.5)
        if table.ndim != 2 or table.shape[1] <= 4 * _BINS:
            raise InputError(
                f"The output has the shape {list(table.shape)}.", hint=f"Expected {self.expects}."
            )
        check_count(len(table), len(places), size)
        chosen, scores, classes = best_class(table[:, : -4 * _BINS], least)
        away = expected(table[chosen, -4 * _BINS :].reshape(-1, 4, _BINS))
        low, high = places[chosen] - away[:, :2], places[chosen] + away[:, 2:]
        return Candidates(np.concatenate([low, high], axis=1) * steps[chosen], scores, classes)
