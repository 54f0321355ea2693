"""YOLOv10, YOLO26 and others that suppress themselves: rows of (x1, y1, x2, y2, score, class) in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.decoder import YOLO_STRIDES, Candidates, Form, Known, cell_count, not_finite
from edgeproof.tasks.detection.yolo import FORM


@dataclass(frozen=True)
class EndToEnd:
    """Rows of 6.

    Attributes:
        output: its name.
    """

    output: str

    name: ClassVar[str] = "end-to-end"
    expects: ClassVar[str] = (
        "one output [N, rows, 6] (box, score, class), with fewer rows than the network has cells"
    )
    form: ClassVar[Form] = FORM
    confidence: ClassVar[float] = 0.25
    iou: ClassVar[float] = 1.0
    classes: ClassVar[None] = None

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> EndToEnd | None:
        """By the width of its rows; as many rows as cells is a detector of one or two classes."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) != 3 or known.outputs[0].shape[2] != 6:
            return None
        rows, count = known.outputs[0].shape[1], cell_count(known.size, YOLO_STRIDES)
        if not named and isinstance(rows, int) and count is not None and rows >= count:
            return None
        return cls(known.outputs[0].name)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:  # noqa: ARG002
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output], np.float32).reshape(-1, 6)
        if not np.isfinite(table).all():
            raise not_finite("rows")
        table = table[table[:, 4] >= least]
        return Candidates(table[:, :4], table[:, 4], np.rint(table[:, 5]).astype(np.int64))
