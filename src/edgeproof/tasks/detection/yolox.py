"""YOLOX (Ge et al. 2021): one box a cell, as its exporter writes it, decoded here from the grid and the strides."""

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
    Floats,
    Form,
    Known,
    best_class,
    cell_count,
    check_count,
    corners,
    fits,
    grid,
    not_finite,
)


@dataclass(frozen=True)
class YoloX:
    """Rows of (x, y, log w, log h, objectness, classes), a row a cell.

    Attributes:
        output: its name.
        classes: how many classes it tells; None where its outputs don't say.
    """

    output: str
    classes: int | None = None

    name: ClassVar[str] = "yolox"
    expects: ClassVar[str] = "one output [N, cells, 5 + classes], cells of strides 8, 16, 32"
    form: ClassVar[Form] = Form(bgr=True)
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.45

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> YoloX | None:  # noqa: ARG003
        """By the number of cells."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) != 3:
            return None
        _, rows, columns = known.outputs[0].shape
        count = cell_count(known.size, YOLO_STRIDES)
        width = None if known.classes is None else known.classes + 5
        if not isinstance(columns, int) or columns <= 5 or not fits(rows, count) or not fits(columns, width):
            return None
        return cls(known.outputs[0].name, columns - 5)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output], np.float32)
        places, steps = grid(size, YOLO_STRIDES)
        if table.ndim != 2 or table.shape[1] <= 5:
            raise InputError(
                f"The output has the shape {list(table.shape)}.", hint=f"Expected {self.expects}."
            )
        check_count(len(table), len(places), size)
        if not np.isfinite(table[:, 4]).all():
            raise not_finite("scores")
        likely = np.flatnonzero(table[:, 4] >= least)
        chosen, scores, classes = best_class(table[likely, 5:] * table[likely, 4:5], least)
        kept = likely[chosen]
        return Candidates(self._boxes(table[kept, :4], places[kept], steps[kept]), scores, classes)

    def _boxes(self, values: Floats, places: Floats, steps: Floats) -> Floats:
        middle, sides = (values[:, :2] + places) * steps, np.exp(values[:, 2:]) * steps
        return corners(np.concatenate([middle, sides], axis=1))


@dataclass(frozen=True)
class YoloXDecoded(YoloX):
    """As exported with decode_in_inference: boxes in pixels; it has to be named, as nothing in the file tells."""

    name: ClassVar[str] = "yolox-decoded"

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> YoloX | None:
        """Where it was named."""
        return super().match(known) if named else None

    def _boxes(self, values: Floats, places: Floats, steps: Floats) -> Floats:  # noqa: ARG002
        return corners(values)
