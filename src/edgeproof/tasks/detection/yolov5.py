"""YOLOv5, v6 and v7: boxes, objectness and classes, decoded by the export or not.

Three anchors a cell in v5 and v7. The heads' decoding: (2 s - 0.5 + cell) * stride and (2 s)^2 * anchor, with s the
sigmoid (Wang et al. 2020, Scaled-YOLOv4, and the releases of YOLOv5).
"""

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
    corners,
    fits,
    grid,
    logit,
    not_finite,
    sigmoid,
)
from edgeproof.tasks.detection.yolo import FORM

_PER_CELL = 3
# Width and height in pixels of the three anchors of each stride, for COCO.
_V5 = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))
_V7 = (((12, 16), (19, 36), (40, 28)), ((36, 75), (76, 55), (72, 146)), ((142, 110), (192, 243), (459, 401)))


@dataclass(frozen=True)
class YoloV5:
    """The decoded form.

    Attributes:
        output: its name.
        cells_first: whether it is (anchors, 5 + classes), as its exporter writes it.
        classes: how many classes it tells; None where its outputs don't say.
    """

    output: str
    cells_first: bool
    classes: int | None = None

    name: ClassVar[str] = "yolov5"
    expects: ClassVar[str] = (
        "one output [N, anchors, 5 + classes], three anchors for each cell of strides 8, 16, 32"
    )
    form: ClassVar[Form] = FORM
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.45

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> YoloV5 | None:
        """By three times as many rows as there are cells."""
        if not known.outputs or len(known.outputs[0].shape) != 3:
            return None
        if len(known.outputs) > 1 and not all(len(spec.shape) == 5 for spec in known.outputs[1:]):
            return None
        name, (_, one, other) = known.outputs[0].name, known.outputs[0].shape
        count = cell_count(known.size, YOLO_STRIDES)
        width = None if known.classes is None else known.classes + 5
        for first, rows, columns in ((True, one, other), (False, other, one)):
            if not isinstance(columns, int) or columns <= 5 or not fits(columns, width):
                continue
            # YOLOX looks alike where the size is free; its exporter names no classes.
            free = count is None and width is not None
            if named or free or (count is not None and rows == _PER_CELL * count):
                return cls(name, first, columns - 5)
        return None

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:  # noqa: ARG002
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output], np.float32)
        if table.ndim != 2:
            raise InputError(
                f"The output has the shape {list(table.shape)}.", hint=f"Expected {self.expects}."
            )
        table = table if self.cells_first else table.T
        likely = _likely(table[:, 4], least)
        places, scores, classes = best_class(table[likely, 5:] * table[likely, 4:5], least)
        return Candidates(corners(table[likely[places], :4]), scores, classes)


@dataclass(frozen=True)
class YoloV5Heads:
    """The form with three feature maps (3, H, W, 5 + classes), which are decoded here.

    Attributes:
        outputs: their names, by stride.
        anchors: of each stride.
        classes: how many classes it tells; None where its outputs don't say.
    """

    outputs: tuple[str, ...]
    anchors: tuple[tuple[tuple[int, int], ...], ...] = _V5
    classes: int | None = None

    name: ClassVar[str] = "yolov5-heads"
    expects: ClassVar[str] = "three outputs [N, 3, H, W, 5 + classes] of strides 8, 16, 32"
    form: ClassVar[Form] = FORM
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.45
    default_anchors: ClassVar[tuple[tuple[tuple[int, int], ...], ...]] = _V5

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> YoloV5Heads | None:  # noqa: ARG003
        """By three maps with three anchors a cell."""
        shapes = [spec.shape for spec in known.outputs]
        if len(shapes) != len(YOLO_STRIDES) or not all(
            len(one) == 5 and fits(one[1], _PER_CELL) for one in shapes
        ):
            return None
        ordered = sorted(
            known.outputs, key=lambda spec: -(spec.shape[3] if isinstance(spec.shape[3], int) else 0)
        )
        width = shapes[0][4]
        classes = width - 5 if isinstance(width, int) else None
        return cls(tuple(spec.name for spec in ordered), cls.default_anchors, classes)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        parts = [
            self._level(np.asarray(outputs[name], np.float32), size, stride, sides, least)
            for name, stride, sides in zip(self.outputs, YOLO_STRIDES, self.anchors, strict=True)
        ]
        boxes, scores, classes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Candidates(boxes, scores, classes)

    @staticmethod
    def _level(
        values: np.ndarray,
        size: tuple[int, int],
        stride: int,
        sides: tuple[tuple[int, int], ...],
        least: float,
    ) -> Candidates:
        table = values.reshape(-1, values.shape[-1])
        places, _ = grid(size, (stride,), -0.5)
        check_count(len(table), len(places) * _PER_CELL, size)
        likely = _likely(table[:, 4], logit(least))
        table = sigmoid(table[likely])
        chosen, scores, classes = best_class(table[:, 5:] * table[:, 4:5], least)
        place, anchor = (
            places[likely[chosen] % len(places)],
            np.array(sides, np.float32)[likely[chosen] // len(places)],
        )
        middle = (2 * table[chosen, :2] + place) * stride
        return Candidates(
            corners(np.concatenate([middle, (2 * table[chosen, 2:4]) ** 2 * anchor], axis=1)), scores, classes
        )


@dataclass(frozen=True)
class YoloV7Heads(YoloV5Heads):
    """YOLOv7's maps: as those of v5, with anchors of its own; it has to be named, as nothing in the file tells."""

    name: ClassVar[str] = "yolov7-heads"
    default_anchors: ClassVar[tuple[tuple[tuple[int, int], ...], ...]] = _V7


def _likely(objectness: np.ndarray, least: float) -> np.ndarray:
    """Where anything is: the product with a class can't be more than the objectness."""
    if not np.isfinite(objectness).all():
        raise not_finite("scores")
    return np.flatnonzero(objectness >= least)
