"""Ultra-Light-Fast-Generic-Face-Detector, which sees 320x240 or 640x480 pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.face_detection import anchors
from edgeproof.tasks.face_detection.decoder import (
    Candidates,
    Decoder,
    Floats,
    Form,
    check_count,
    chosen,
    rows,
    taken,
)
from edgeproof.tasks.face_detection.retinaface import SLIM


@dataclass(frozen=True)
class UltraFace(Decoder):
    """Two probabilities (background, face) and a box for each anchor; no landmarks.

    Attributes:
        scores, boxes: names of the outputs.
    """

    scores: str
    boxes: str

    name = "ultraface"
    expects = "two outputs with rows of 2 and 4 numbers (scores, and boxes as shares of the picture)"
    form = Form(mean=(127.0, 127.0, 127.0), scale=1 / 128, fill=(127, 127, 127), stretch=True)
    confidence = 0.6
    iou = 0.3

    @classmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> UltraFace | None:
        """By the width of the rows."""
        named = {spec.shape[-1]: spec.name for spec in outputs if len(spec.shape) in (2, 3)}
        if len(outputs) != 2 or set(named) != {2, 4}:
            return None
        return cls(named[2], named[4])

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        faces, boxes = rows(outputs[self.scores], 2)[:, 1], rows(outputs[self.boxes], 4)
        check_count(len(boxes), len(faces), size)
        places, scores = chosen(faces, least)
        return Candidates(self._corners(boxes, places, size), scores, None)

    def _corners(self, boxes: Floats, places: NDArray[np.intp], size: tuple[int, int]) -> Floats:
        """Boxes (N, 4) as the network gives them, those at `places` as corners in pixels of its input."""
        corners: Floats = taken(boxes, places) * np.array(size * 2, np.float32)
        return corners


@dataclass(frozen=True)
class UltraFaceOffsets(UltraFace):
    """The same where the boxes are offsets from anchors, as in the Caffe file.

    Its own code puts the anchors of the last two strides 30 and 60 lines apart, as 240 lines have 8 and 4 places; the
    strides that the network has, 32 and 64, are 2.9 points of AP50 better on 150 pictures.
    """

    name = "ultraface-offsets"

    def _corners(self, boxes: Floats, places: NDArray[np.intp], size: tuple[int, int]) -> Floats:
        placed = anchors.anchors(size, SLIM)
        check_count(len(boxes), len(placed), size)
        return anchors.boxes_of(taken(boxes, places), placed[places])
