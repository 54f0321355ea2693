"""RetinaFace (Deng et al. 2020, arXiv 1905.00641), with a MobileNet0.25 or a ResNet-50 body: the same outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.face_detection import anchors
from edgeproof.tasks.face_detection.decoder import Candidates, Decoder, Form, check_count, chosen, rows, taken

MEAN = (104, 117, 123)  # blue, green, red: ImageNet's, as Caffe's networks have it
# What the published networks were trained with. The first two have as many, so only a name tells them apart.
USUAL = ((8, (16.0, 32.0)), (16, (64.0, 128.0)), (32, (256.0, 512.0)))
SMALL = ((8, (10.0, 20.0)), (16, (32.0, 64.0)), (32, (128.0, 256.0)))
SLIM = ((8, (10.0, 16.0, 24.0)), (16, (32.0, 48.0)), (32, (64.0, 96.0)), (64, (128.0, 192.0, 256.0)))


@dataclass(frozen=True)
class RetinaFace(Decoder):
    """Offsets of boxes and landmarks from anchors, and two probabilities (background, face) for each.

    Attributes:
        boxes, faces, landmarks: names of the outputs.
    """

    boxes: str
    faces: str
    landmarks: str

    name = "retinaface"
    expects = "three outputs with rows of 4, 2 and 10 numbers (boxes, confidences, landmarks)"
    form = Form(mean=MEAN, bgr=True, fill=(123, 117, 104))
    confidence = 0.5
    iou = 0.4
    sides: ClassVar[anchors.Sides] = USUAL

    @classmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> RetinaFace | None:
        """By the width of the rows: published files call the outputs by a dozen names."""
        if len(outputs) != 3 or any(len(spec.shape) not in (2, 3) for spec in outputs):
            return None
        named = {spec.shape[-1]: spec.name for spec in outputs}
        return cls(named[4], named[2], named[10]) if set(named) == {4, 2, 10} else None

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """See `Decoder.decode`."""
        bbox, marks = rows(outputs[self.boxes], 4), rows(outputs[self.landmarks], 10)
        faces = rows(outputs[self.faces], 2)[:, 1]
        sides = SLIM if len(faces) == anchors.count(size, SLIM) else self.sides
        placed = anchors.anchors(size, sides)
        for part in (bbox, marks, faces):
            check_count(len(part), len(placed), size)
        places, scores = chosen(faces, least)
        near = placed[places]
        return Candidates(
            anchors.boxes_of(taken(bbox, places), near),
            scores,
            anchors.points_of(taken(marks, places), near),
        )


@dataclass(frozen=True)
class RetinaFaceSmall(RetinaFace):
    """The same with smaller anchors, as github.com/biubug6/Face-Detector-1MB-with-landmark trained its MobileNet."""

    name = "retinaface-1mb"
    sides = SMALL
