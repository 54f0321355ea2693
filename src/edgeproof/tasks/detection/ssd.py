"""Networks that end in SSD's own layer, which decodes and suppresses (Liu et al. 2016): Caffe's and TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.decoder import Candidates, Form, Known, not_finite


@dataclass(frozen=True)
class Ssd:
    """Rows of (picture, class, score, x1, y1, x2, y2), the box as shares of the picture and class 0 the background.

    Attributes:
        output: its name.
    """

    output: str

    name: ClassVar[str] = "ssd"
    expects: ClassVar[str] = "one output with rows of 7 numbers (picture, class, score, box)"
    form: ClassVar[Form] = Form(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), bgr=True, stretch=True)
    confidence: ClassVar[float] = 0.4
    iou: ClassVar[float] = 1.0
    classes: ClassVar[None] = None

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> Ssd | None:  # noqa: ARG003
        """By the width of the rows."""
        if len(known.outputs) != 1 or len(known.outputs[0].shape) < 2 or known.outputs[0].shape[-1] != 7:
            return None
        return cls(known.outputs[0].name)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        table = np.asarray(outputs[self.output], np.float32)
        if table.shape[-1:] != (7,):
            raise InputError(
                f"The output has the shape {list(table.shape)}.", hint=f"Expected {self.expects}."
            )
        table = table.reshape(-1, 7)
        if not np.isfinite(table).all():
            raise not_finite("rows")
        table = table[(table[:, 1] >= 1) & (table[:, 2] >= least)]
        boxes = table[:, 3:] * np.array(size * 2, np.float32)
        return Candidates(boxes, table[:, 2], np.rint(table[:, 1]).astype(np.int64) - 1)


@dataclass(frozen=True)
class SsdLists:
    """TensorFlow's four outputs: boxes (y1, x1, y2, x2) as shares of the picture, classes from 0, scores, their number.

    Attributes:
        boxes, labels, scores: their names.
    """

    boxes: str
    labels: str
    scores: str

    name: ClassVar[str] = "ssd-lists"
    expects: ClassVar[str] = (
        "four outputs: boxes [N, rows, 4], classes [N, rows], scores [N, rows] and their number [N]"
    )
    form: ClassVar[Form] = Form(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), stretch=True)
    confidence: ClassVar[float] = 0.4
    iou: ClassVar[float] = 1.0
    classes: ClassVar[None] = None

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> SsdLists | None:  # noqa: ARG003
        """By the shapes; of the two lists the classes come first, unless a name says otherwise."""
        shapes = {len(spec.shape): spec for spec in known.outputs}
        lists = [spec.name for spec in known.outputs if len(spec.shape) == 2]
        if (
            len(known.outputs) != 4
            or shapes.keys() != {1, 2, 3}
            or len(lists) != 2
            or shapes[3].shape[-1] != 4
        ):
            return None
        if "score" in lists[0].lower() or "class" in lists[1].lower():
            lists.reverse()
        return cls(shapes[3].name, *lists)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        boxes = np.asarray(outputs[self.boxes], np.float32).reshape(-1, 4)
        scores, classes = (
            np.asarray(outputs[name], np.float32).ravel() for name in (self.scores, self.labels)
        )
        if len({len(boxes), len(scores), len(classes)}) != 1:
            raise InputError("The network's lists differ in length.", hint=f"Expected {self.expects}.")
        if not (np.isfinite(scores).all() and np.isfinite(classes).all()):
            raise not_finite("scores")
        kept = scores >= least
        placed = boxes[kept][:, [1, 0, 3, 2]] * np.array(size * 2, np.float32)
        return Candidates(placed, scores[kept], np.rint(classes[kept]).astype(np.int64))
