"""RetinaNet (Lin et al. 2017) and what decodes like it: scores and offsets of nine anchors a cell, or finished lists.

Anchors and offsets are those of Detectron and torchvision: sides of 4 strides times 1, 2^(1/3) and 2^(2/3), ratios of
0.5, 1 and 2; the size of a box is limited to 1,000 / 16 times its anchor's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.decoder import (
    Candidates,
    Floats,
    Form,
    Known,
    best_class,
    cell_count,
    cells,
    check_count,
    corners,
    fits,
    logit,
    not_finite,
    sigmoid,
)

_STRIDES = (8, 16, 32, 64, 128)
_RATIOS = (0.5, 1.0, 2.0)
_MOST_GROWTH = math.log(1000 / 16)
_FORM = Form(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), fill=0, stride=128)


@dataclass(frozen=True)
class RetinaNet:
    """Scores (anchors, classes), as logits or probabilities, and offsets (anchors, 4).

    Attributes:
        scores, boxes: the outputs' names.
        classes: how many classes it tells; None where its outputs don't say.
    """

    scores: str
    boxes: str
    classes: int | None = None

    name: ClassVar[str] = "retinanet"
    expects: ClassVar[str] = (
        "outputs [N, anchors, classes] and [N, anchors, 4], nine anchors a cell of strides 8 to 128"
    )
    form: ClassVar[Form] = _FORM
    confidence: ClassVar[float] = 0.3
    iou: ClassVar[float] = 0.5

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> RetinaNet | None:  # noqa: ARG003
        """By the number of anchors."""
        count = cell_count(known.size, _STRIDES)
        rows = None if count is None else 9 * count
        specs = known.outputs
        if len(specs) != 2 or not all(len(spec.shape) == 3 and fits(spec.shape[1], rows) for spec in specs):
            return None
        boxes = [spec.name for spec in specs if spec.shape[2] == 4]
        scores = [spec for spec in specs if spec.name not in boxes]
        if len(boxes) != 1:
            return None
        width = scores[0].shape[2]
        return cls(scores[0].name, boxes[0], width if isinstance(width, int) else None)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        scores = np.asarray(outputs[self.scores], np.float32)
        offsets = np.asarray(outputs[self.boxes], np.float32)
        placed = _anchors(size)
        if scores.ndim != 2 or offsets.shape != (len(scores), 4):
            raise InputError(
                f"The outputs are {list(scores.shape)} and {list(offsets.shape)}.", hint=self.expects
            )
        check_count(len(scores), len(placed), size)
        logits = scores.size and not (scores.min() >= 0 and scores.max() <= 1)
        chosen, best, classes = best_class(scores, logit(least) if logits else least)
        best = sigmoid(best) if logits else best
        anchor, offset = placed[chosen], offsets[chosen]
        middle = anchor[:, :2] + offset[:, :2] * anchor[:, 2:]
        sides = anchor[:, 2:] * np.exp(np.minimum(offset[:, 2:], np.float32(_MOST_GROWTH)))
        return Candidates(corners(np.concatenate([middle, sides], axis=1)), best, classes)


@functools.lru_cache(maxsize=4)
def _anchors(size: tuple[int, int]) -> Floats:
    """Centre and size of each anchor, float32 (N, 4) in pixels."""
    levels = []
    for stride in _STRIDES:
        columns, lines = cells(size, stride)
        sides = [
            (4 * stride * 2 ** (step / 3) / math.sqrt(ratio), 4 * stride * 2 ** (step / 3) * math.sqrt(ratio))
            for ratio in _RATIOS
            for step in range(3)
        ]
        y, x = np.meshgrid(np.arange(lines) * stride, np.arange(columns) * stride, indexing="ij")
        middle = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        shape = (columns * lines, 9, 2)
        both = [np.broadcast_to(middle, shape), np.broadcast_to(np.array(sides), shape)]
        levels.append(np.concatenate(both, axis=2).reshape(-1, 4))
    made = np.concatenate(levels).astype(np.float32)
    made.flags.writeable = False
    return made


@dataclass(frozen=True)
class BoxLists:
    """What torchvision's detectors give: boxes in pixels, their classes and scores, suppressed.

    Attributes:
        boxes, labels, scores: the outputs' names.
    """

    boxes: str
    labels: str
    scores: str

    name: ClassVar[str] = "lists"
    expects: ClassVar[str] = "three outputs: boxes [rows, 4], labels [rows] of integers, scores [rows]"
    form: ClassVar[Form] = Form(std=(255.0, 255.0, 255.0), fill=0)
    confidence: ClassVar[float] = 0.3
    iou: ClassVar[float] = 1.0
    classes: ClassVar[None] = None

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> BoxLists | None:  # noqa: ARG003
        """By shapes and types."""
        if len(known.outputs) != 3:
            return None
        boxes = [spec for spec in known.outputs if spec.shape[-1:] == (4,)]
        whole = [spec for spec in known.outputs if spec.dtype.startswith("int")]
        other = [spec for spec in known.outputs if spec not in (*boxes, *whole)]
        if not len(boxes) == len(whole) == len(other) == 1 or len(other[0].shape) >= len(boxes[0].shape):
            return None
        return cls(boxes[0].name, whole[0].name, other[0].name)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:  # noqa: ARG002
        """See `Decoder.decode`."""
        boxes = np.asarray(outputs[self.boxes], np.float32).reshape(-1, 4)
        scores = np.asarray(outputs[self.scores], np.float32).ravel()
        classes = np.asarray(outputs[self.labels]).ravel().astype(np.int64)
        if len({len(boxes), len(scores), len(classes)}) != 1:
            raise InputError("The network's lists differ in length.", hint=f"Expected {self.expects}.")
        if not np.isfinite(scores).all():
            raise not_finite("scores")
        kept = scores >= least
        return Candidates(boxes[kept], scores[kept], classes[kept])
