"""Networks that end in SSD's DetectionOutput layer (Liu et al. 2016), which decodes and suppresses itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.face_detection.decoder import Candidates, Decoder, Form, chosen, rows, taken
from edgeproof.tasks.face_detection.retinaface import MEAN


@dataclass(frozen=True)
class Ssd(Decoder):
    """Rows of (picture, class, score, x1, y1, x2, y2), the box as shares of the picture.

    Attributes:
        output: its name.
    """

    output: str

    name = "ssd"
    expects = "one output with rows of 7 numbers (picture, class, score, box)"
    form = Form(mean=MEAN, bgr=True, fill=(123, 117, 104))
    confidence = 0.5
    iou = 0.45

    @classmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> Ssd | None:
        """By the width of the rows."""
        if len(outputs) != 1 or not outputs[0].shape or outputs[0].shape[-1] != 7:
            return None
        return cls(outputs[0].name)

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        table = rows(outputs[self.output], 7)
        table = table[
            table[:, 1] != 0
        ]  # 0 is the background; OpenCV gives such a row where nothing was found
        places, scores = chosen(table[:, 2], least)
        return Candidates(taken(table[:, 3:], places) * np.array(size * 2, np.float32), scores, None)
