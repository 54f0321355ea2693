"""FastestDet (github.com/dog-qiuqiu/FastestDet): one feature map of stride 16, one box a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.decoder import (
    Candidates,
    Form,
    Known,
    best_class,
    cells,
    check_count,
    corners,
    fits,
    grid,
    not_finite,
    sigmoid,
)

_STRIDE = 16


@dataclass(frozen=True)
class FastestDet:
    """A map of (objectness, x, y, w, h, classes).

    The tanh of x and y counts in cells, the sigmoid of w and h as a share of the input.

    Attributes:
        output: its name.
        classes: how many classes it tells; None where its outputs don't say.
    """

    output: str
    classes: int | None = None

    name: ClassVar[str] = "fastestdet"
    expects: ClassVar[str] = "one output [N, 5 + classes, H / 16, W / 16]"
    form: ClassVar[Form] = Form(std=(255.0, 255.0, 255.0), bgr=True, stretch=True)
    confidence: ClassVar[float] = 0.4
    iou: ClassVar[float] = 0.45

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> FastestDet | None:  # noqa: ARG003
        """By one feature map of the right size."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) != 4:
            return None
        _, channels, height, width = known.outputs[0].shape
        columns, lines = cells(known.size, _STRIDE) if known.size else (None, None)
        if (
            not isinstance(channels, int)
            or channels <= 5
            or not (fits(width, columns) and fits(height, lines))
        ):
            return None
        return cls(known.outputs[0].name, channels - 5)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        values = np.asarray(outputs[self.output], np.float32)
        table = values.reshape(values.shape[0], -1)
        places, _ = grid(size, (_STRIDE,))
        check_count(table.shape[1], len(places), size)
        if not np.isfinite(table[0]).all():
            raise not_finite("scores")
        scores = np.maximum(table[0], 0) ** 0.6 * np.maximum(table[5:], 0) ** 0.4
        chosen, best, classes = best_class(scores, least, axis=0)
        frame = np.array(size, np.float32)
        middle = (places[chosen] + np.tanh(table[1:3, chosen].T)) / np.array(cells(size, _STRIDE), np.float32)
        sides = sigmoid(table[3:5, chosen].T)
        return Candidates(corners(np.concatenate([middle * frame, sides * frame], axis=1)), best, classes)
