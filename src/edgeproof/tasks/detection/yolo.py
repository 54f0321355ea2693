"""YOLOv8, v9, v11, v12 and v26 as their exporter writes them: boxes and the score of each class, no objectness.

One output (4 + classes, cells): centre and size in pixels, scores of 0 to 1; or the same turned round.
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
    Floats,
    Form,
    Known,
    best_class,
    cell_count,
    check_count,
    corners,
    fits,
    grid,
    logit,
    sigmoid,
)

FORM = Form(std=(255.0, 255.0, 255.0), centred=True)
_COCO = 80
_BINS = 16


@dataclass(frozen=True)
class Yolo:
    """The decoded form.

    Attributes:
        output: its name.
        cells_first: whether it is (cells, 4 + classes).
        classes: how many classes it tells; None where its outputs don't say.
    """

    output: str
    cells_first: bool
    classes: int | None = None

    name: ClassVar[str] = "yolo"
    expects: ClassVar[str] = (
        "one output [N, 4 + classes, cells] or [N, cells, 4 + classes], cells of strides 8, 16, 32"
    )
    form: ClassVar[Form] = FORM
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.7

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> Yolo | None:
        """By the number of cells; with the cells first, YOLOX looks alike and the number of classes decides."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) != 3:
            return None
        name, (_, one, other) = known.outputs[0].name, known.outputs[0].shape
        count = cell_count(known.size, YOLO_STRIDES)
        width = None if known.classes is None else known.classes + 4
        if isinstance(one, int) and 4 < one < _many(other) and fits(other, count) and fits(one, width):
            return cls(name, cells_first=False, classes=one - 4)
        is_ours = named or width is not None or other == _COCO + 4
        if (
            isinstance(other, int)
            and 4 < other < _many(one)
            and fits(one, count)
            and fits(other, width)
            and is_ours
        ):
            return cls(name, cells_first=True, classes=other - 4)
        return None

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output])
        table = table if table.dtype.kind == "f" else table.astype(np.float32)
        if table.ndim != 2:
            raise InputError(
                f"The output has the shape {list(table.shape)}.", hint=f"Expected {self.expects}."
            )
        if self.cells_first:
            table = table.T
        check_count(table.shape[1], cell_count(size, YOLO_STRIDES) or 0, size)
        places, scores, classes = best_class(table[4:], least, axis=0)
        boxes = np.ascontiguousarray(table[:4, places].T, dtype=np.float32)
        return Candidates(corners(boxes), scores, classes)


@dataclass(frozen=True)
class YoloHeads:
    """The form with three feature maps, each with 16 bins for the distance to each side (DFL) and the classes' logits.

    Li et al. 2020, Generalized Focal Loss, section 3.2; exports that leave the decoding to the host end so.

    Attributes:
        outputs: their names, by stride.
        classes: how many classes it tells; None where its outputs don't say.
    """

    outputs: tuple[str, ...]
    classes: int | None = None

    name: ClassVar[str] = "yolo-heads"
    expects: ClassVar[str] = "three outputs [N, 64 + classes, H, W] of strides 8, 16, 32"
    form: ClassVar[Form] = FORM
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 0.7

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> YoloHeads | None:  # noqa: ARG003
        """By three maps of equally many channels, more than 64."""
        shapes = [spec.shape for spec in known.outputs]
        if len(shapes) != len(YOLO_STRIDES) or any(len(shape) != 4 for shape in shapes):
            return None
        channels = {shape[1] for shape in shapes}
        if len(channels) != 1 or not isinstance(shapes[0][1], int) or shapes[0][1] <= 4 * _BINS:
            return None
        ordered = sorted(known.outputs, key=lambda spec: -_many(spec.shape[3]))
        return cls(tuple(spec.name for spec in ordered), shapes[0][1] - 4 * _BINS)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        maps = [np.asarray(outputs[name], np.float32) for name in self.outputs]
        table = np.concatenate([one.reshape(one.shape[0], -1) for one in maps], axis=1)
        places, steps = grid(size, YOLO_STRIDES, 0.5)
        check_count(table.shape[1], len(places), size)
        chosen, scores, classes = best_class(table[4 * _BINS :], logit(least), axis=0)
        away = expected(table[: 4 * _BINS, chosen].T.reshape(-1, 4, _BINS))
        low, high = places[chosen] - away[:, :2], places[chosen] + away[:, 2:]
        return Candidates(np.concatenate([low, high], axis=1) * steps[chosen], sigmoid(scores), classes)


def expected(logits: Floats) -> Floats:
    """The expected bin of logits (..., bins): Li et al. 2020, equation 6."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.asarray(shares @ np.arange(logits.shape[-1], dtype=np.float32), np.float32)


def _many(size: int | str) -> int:
    return size if isinstance(size, int) else 1 << 30
