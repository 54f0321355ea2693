"""The meaning of a face detector: what it is shown of a picture, and which of its candidates are faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError, UsageError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.protocols import Pixels, Prepared
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.imaging.boxes import iou, nms
from edgeproof.imaging.decode import check_pixels
from edgeproof.imaging.letterbox import Letterbox, letterbox
from edgeproof.tasks.face_detection.decoder import Candidates, Decoder, Form, not_finite
from edgeproof.tasks.face_detection.yunet import YuNet

# The long side that a network of free size sees at the most. docs/how_to/find_faces.md has what others cost and give.
LONG_SIDE = 832
# Faces in small pictures may be small: on 150 pictures of 400 pixels twice their size finds 11 points of AP50 more,
# three times no more than that.
ENLARGE = 2.0
# Where the smallest face is larger than this, enlarging the picture finds no others: with this bound AP50 on those
# pictures is what it is with all of them enlarged, and of portraits (LFW) one in twenty is enlarged.
SMALL_FACE = 40.0
# A first look at so few pixels of the long side takes a quarter of the time of one at 640. Where all that it finds is
# sure and larger than this there, a full look finds nothing else: of 150 pictures of people, enlarged to 640 pixels, 55
# had only such faces, 78 in all, and none was missed or made up. With such boxes, in 500 pictures of one face of
# FairFace, the attributes network gets 91.8 % of genders and 94.6 % of ages within one bucket right, with boxes of the
# full look 90.9 and 93.3 %.
GLANCE_SIDE, GLANCE_FACE = 320, 24.0
# Where the full look is hardly larger, the small one saves nothing.
_GLANCE_SHARE = 0.75
# Suppression looks at the best of them only. A face gives some ten candidates, and a picture 200 faces at the most.
MOST_CANDIDATES = 5000
_MOST_SIDE = 8192
_SAME_FACE = 0.5  # the overlap from which candidates speak of one face

Framed: TypeAlias = tuple[Pixels, Letterbox]


@dataclass(frozen=True)
class FaceDetectionTask:
    """One network's way to find faces.

    Attributes:
        decoder: of its family.
        form: how it takes pixels; None for the family's own.
        size: width and height of its input; None where any multiple of the form's stride will do.
        confidence: the score from which a candidate is a face; None for the family's own.
        iou: the overlap above which two candidates are one face; None for the family's own.
        long_side: pixels of the picture's long side as the network sees it, at the most. For a network of fixed size:
            its own size at the most.
        enlarge: how much a picture in which small faces may be missed is enlarged at the most.
    """

    decoder: Decoder = field(default_factory=YuNet)
    form: Form | None = None
    size: tuple[int, int] | None = None
    confidence: float | None = None
    iou: float | None = None
    long_side: int = LONG_SIDE
    enlarge: float = ENLARGE

    name = "face-detection"
    metric_name = "ap50"
    # A face of 10 pixels in a picture whose short side has 640 is the smallest that the default detector finds.
    cover = 640

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name} is {value}.", hint="Use a number above 0, up to 1.")
        if not 32 <= self.long_side <= _MOST_SIDE:
            raise UsageError(
                f"long_side is {self.long_side}.", hint=f"Use a number of pixels from 32 to {_MOST_SIDE}."
            )

    def settings(self) -> dict[str, float]:
        """What a manifest keeps of this task."""
        form = self.form or self.decoder.form
        return {
            f"decoder_{self.decoder.name}": 1.0,
            "confidence": self.confidence or self.decoder.confidence,
            "iou": self.iou or self.decoder.iou,
            "long_side": float(self.long_side),
            **{f"mean_{channel}": mean for channel, mean in enumerate(form.mean)},
            "scale": form.scale,
            "bgr": float(form.bgr),
            "stretch": float(form.stretch),
        }

    def check(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        """One input (N, 3, H, W), and outputs that the decoder takes.

        Raises:
            ModelError: the network has others.
        """
        check_input(inputs)
        if type(self.decoder).match(outputs) is None:
            raise ModelError(
                f"The network's outputs are {', '.join(map(str, outputs))}.",
                hint=f"Expected for {self.decoder.name}: {self.decoder.expects}.",
            )

    def prepare(self, pixels: Pixels, scale: float = 1.0) -> Prepared:
        """uint8 (H, W, 3) RGB, upright, to float32 (3, h, w) and its `Letterbox`; enlarged where that is allowed.

        Arguments:
            scale: of the size that the picture would be seen at.

        Raises:
            InputError: not a picture.
        """
        return self.tensor(self.frame(pixels, scale, enlarged=True))

    def frame(self, pixels: Pixels, scale: float = 1.0, *, enlarged: bool, quick: bool = False) -> Framed:
        """The picture as the network is to see it, in a quarter of the tensor's bytes; arguments as `prepare`.

        Arguments:
            quick: resampled less smoothly, in a fifth of the time.
        """
        check_pixels(pixels)
        form = self.form or self.decoder.form
        wanted = self._scale(pixels, self.enlarge if enlarged else 1.0) * scale
        width, height = self.size or self._free_size(pixels, wanted, form.stride)
        stretch = form.stretch and self.size is not None
        gap = 1.0 if quick else 2.0
        return letterbox(pixels, width, height, form.fill, scale=wanted, stretch=stretch, gap=gap)

    def tensor(self, frame: Framed) -> Prepared:
        """What the network takes: float32 (3, h, w) and its `Letterbox`."""
        picture, place = frame
        return Prepared((self.form or self.decoder.form).tensor(picture), place)

    def enlarges(self, pixels: Pixels) -> bool:
        """Whether a picture, uint8 (H, W, 3), would be larger in a second look than in the first."""
        return self.size is None and self._scale(pixels, self.enlarge) > self._scale(pixels, 1.0)

    def looks_for_more(self, found: FaceDetections) -> bool:
        """Whether a second, enlarged look is worth its time: no face was found for sure, or a small one."""
        sure = found.boxes[found.scores >= self.decoder.confidence]
        return not len(sure) or float((sure[:, 2:] - sure[:, :2]).min()) < SMALL_FACE

    def glance(self, pixels: Pixels) -> FaceDetectionTask | None:
        """The task of a first, small look at a picture, uint8 (H, W, 3); None where it would save nothing."""
        doubt = self.decoder.doubt
        full = self._scale(pixels, 1.0) * max(pixels.shape[:2])
        if doubt is None or self.size is not None or full * _GLANCE_SHARE < GLANCE_SIDE:
            return None
        return replace(self, confidence=min(doubt, self._sure), long_side=GLANCE_SIDE)

    def is_all(self, glanced: FaceDetections, pixels: Pixels) -> bool:
        """Whether what a first, small look found is all there is: large faces, every one of them sure."""
        if not len(glanced) or float(glanced.scores.min()) < self._sure:
            return False
        least: float = GLANCE_FACE * max(pixels.shape[:2]) / GLANCE_SIDE
        smallest = float((glanced.boxes[:, 2:] - glanced.boxes[:, :2]).min())
        return smallest >= least

    @property
    def _sure(self) -> float:
        return self.confidence or self.decoder.confidence

    def _scale(self, pixels: Pixels, most: float) -> float:
        high, wide = pixels.shape[:2]
        long_side = float(self.long_side)
        if self.size:
            return float(min(self.size[0] / wide, self.size[1] / high, long_side / max(high, wide)))
        return float(min(most, long_side / max(high, wide)))

    @staticmethod
    def _free_size(pixels: Pixels, scale: float, stride: int) -> tuple[int, int]:
        """The next multiples of the stride: coarser steps cost more than what a runtime spends on a new size."""
        high, wide = (min(max(1, round(side * scale)), _MOST_SIDE) for side in pixels.shape[:2])
        return -(-wide // stride) * stride, -(-high // stride) * stride

    def candidates(self, outputs: Mapping[str, Array], prepared: Prepared) -> Candidates:
        """One picture's outputs (without the batch axis) to its best candidates, in the picture's pixels.

        Raises:
            InputError: the outputs don't fit, or hold numbers that are not finite.
        """
        place: Letterbox = prepared.context
        height, width = prepared.tensor.shape[1:]
        least = self.confidence or self.decoder.confidence
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what comes of it is not finite, and refused below
            boxes, scores, marks = self.decoder.decode(outputs, (width, height), least)
        if len(scores) > MOST_CANDIDATES:
            best = np.argpartition(-scores, MOST_CANDIDATES)[:MOST_CANDIDATES]
            boxes, scores, marks = boxes[best], scores[best], None if marks is None else marks[best]
        if not np.isfinite(boxes).all():
            raise not_finite("boxes")
        if marks is not None and not np.isfinite(marks).all():
            raise not_finite("landmarks")
        corners = place.to_picture(boxes.reshape(-1, 2, 2))
        corners = np.clip(corners, 0, np.array(place.size, np.float32)).reshape(-1, 4)
        whole = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        return Candidates(
            corners[whole], scores[whole], None if marks is None else place.to_picture(marks[whole])
        )

    def choose(self, candidates: Candidates) -> FaceDetections:
        """The faces among candidates, best first.

        A face's landmarks are the mean of what all its candidates say, weighted by score and overlap: of all pairs of
        LFW that lets 93.6 % of one person pass at a false-accept rate of 1e-5, where the best candidate's own
        landmarks let 92.4 % pass; at 1e-3 it is 98.2 against 98.4 %.
        """
        boxes, scores, marks = candidates
        kept = nms(boxes, scores, self.iou or self.decoder.iou)
        if marks is not None:
            shared = iou(boxes[kept], boxes)
            weights = np.where(shared >= _SAME_FACE, shared * scores, 0)
            # A box too thin to overlap itself in 32 bits keeps its own landmarks.
            weights[np.arange(len(kept)), kept] = np.maximum(weights[np.arange(len(kept)), kept], 1e-6)
            marks = np.tensordot(weights / weights.sum(axis=1, keepdims=True), marks, axes=1)
        return FaceDetections(
            np.ascontiguousarray(boxes[kept], np.float32),
            np.minimum(scores[kept], 1).astype(np.float32),
            None if marks is None else np.ascontiguousarray(marks, np.float32),
        )

    def decode(self, outputs: Mapping[str, Array], prepared: Prepared) -> FaceDetections:
        """One picture's outputs (without the batch axis) to its faces, in the picture's pixels."""
        return self.choose(self.candidates(outputs, prepared))


def check_input(inputs: Sequence[TensorSpec]) -> tuple[int, int] | None:
    """The width and height that a network takes; None where they are free.

    Raises:
        ModelError: it doesn't take one picture of three colours.
    """
    shape: Sequence[Any] = inputs[0].shape if len(inputs) == 1 else ()
    if len(shape) != 4 or (shape[1] != 3 and isinstance(shape[1], int)):
        raise ModelError(
            f"This is no detector of faces: it takes {', '.join(map(str, inputs)) or 'nothing'}.",
            hint="One input [N, 3, height, width] was expected.",
        )
    height, width = shape[2:]
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def merged(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several looks at one picture."""
    marks = [part.landmarks for part in parts if part.landmarks is not None]
    points: NDArray[np.float32] | None = np.concatenate(marks) if marks else None
    return Candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        points,
    )
