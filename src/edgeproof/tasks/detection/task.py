"""The meaning of an object detector: what it is shown of a picture, and which of its candidates are objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.detections import Detections
from edgeproof.core.errors import InputError, ModelError, UsageError
from edgeproof.core.protocols import Pixels, Prepared
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.imaging.boxes import nms
from edgeproof.tasks.detection.decoder import Candidates, Decoder, Form, not_finite
from edgeproof.tasks.detection.frame import Place, free_frame, tensor_of
from edgeproof.tasks.detection.yolo import Yolo

# The long side of the frame where a network takes any size: what the YOLO family is trained with.
LONG_SIDE = 640
# Suppression looks at the best of them only. An object gives some ten candidates.
MOST_CANDIDATES = 5000
MOST = 300
_MOST_SIDE = 8192


@dataclass(frozen=True)
class Layout:
    """How a network takes its input.

    Attributes:
        size: width and height; None where they are free.
        channels_last: (N, height, width, 3), else (N, 3, height, width).
        dtype: of the input; uint8 gets the pixels as they are.
    """

    size: tuple[int, int] | None = None
    channels_last: bool = False
    dtype: str = "float32"


@dataclass(frozen=True)
class DetectionTask:
    """One network's way to find objects.

    Attributes:
        decoder: of its family.
        form: how it takes pixels; None for the family's own.
        layout: of its input.
        confidence: the score from which a candidate is an object; None for the family's own.
        iou: the overlap above which two candidates are one object; None for the family's own.
        agnostic: candidates of two classes can be one object too.
        classes: the only classes wanted; None for all.
        long_side: of the frame, where the network takes any size.
        most: the most objects of a picture.
        names: of the classes, where they are known.
    """

    decoder: Decoder = field(default_factory=lambda: Yolo("output0", cells_first=False))
    form: Form | None = None
    layout: Layout = field(default_factory=Layout)
    confidence: float | None = None
    iou: float | None = None
    agnostic: bool = False
    classes: tuple[int, ...] | None = None
    long_side: int = LONG_SIDE
    most: int = MOST
    names: tuple[str, ...] | None = None

    name = "detect"
    metric_name = "map"

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name} is {value}.", hint="Use a number above 0, up to 1.")
        if not 32 <= self.long_side <= _MOST_SIDE:
            raise UsageError(
                f"long_side is {self.long_side}.", hint=f"Use a number of pixels from 32 to {_MOST_SIDE}."
            )

    @property
    def least(self) -> float:
        """The score from which a candidate is an object."""
        return self.confidence or self.decoder.confidence

    @property
    def cover(self) -> int:
        """The short side, in pixels, that a decoded picture must at least have."""
        return min(self.layout.size or (self.long_side, self.long_side))

    @property
    def tile(self) -> tuple[int, int]:
        """The width and height of a part of a picture that the network sees unreduced."""
        return self.layout.size or (self.long_side, self.long_side)

    def frame(self, width: int, height: int) -> tuple[int, int]:
        """The width and height of the network's input for a picture of that width and height."""
        return self.layout.size or free_frame((width, height), self.long_side, self._form.stride)

    @property
    def _form(self) -> Form:
        if self.layout.dtype == "uint8":
            return Form(bgr=False, centred=(self.form or self.decoder.form).centred)
        return self.form or self.decoder.form

    def prepare(self, pixels: Pixels, out: NDArray[Any] | None = None) -> Prepared:
        """uint8 (H, W, 3) RGB, upright, to what the network takes, without the batch axis; `out` is used again.

        Raises:
            InputError: not a picture.
        """
        layout = self.layout
        frame = self.frame(pixels.shape[1], pixels.shape[0]) if pixels.ndim == 3 and pixels.size else (1, 1)
        tensor, place = tensor_of(
            pixels,
            frame,
            self._form,
            channels_last=layout.channels_last,
            dtype=np.dtype(layout.dtype),
            out=out,
        )
        return Prepared(tensor, place)

    def input_size(self, prepared: Prepared) -> tuple[int, int]:
        """Width and height of what the network is shown."""
        shape = prepared.tensor.shape
        return (shape[1], shape[0]) if self.layout.channels_last else (shape[2], shape[1])

    def decode(
        self, outputs: Mapping[str, Array], prepared: Prepared, *, least: float | None = None
    ) -> Detections:
        """One picture's outputs, without the batch axis, to its objects, in the picture's pixels.

        Arguments:
            least: the score from which a candidate is an object, if it is to be another than `confidence` this time.

        Raises:
            InputError: the outputs don't fit, or hold numbers that are not finite.
        """
        place, size = prepared.context, self.input_size(prepared)
        least = least or self.least
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what comes of it is not finite, and refused below
            found = self.decoder.decode(outputs, size, least)
        if self.classes is not None:
            found = _taken(found, np.isin(found.classes, self.classes))
        if len(found.scores) > MOST_CANDIDATES:
            found = _taken(found, np.argpartition(-found.scores, MOST_CANDIDATES)[:MOST_CANDIDATES])
        return self._chosen(found, place)

    def _chosen(self, found: Candidates, place: Place) -> Detections:
        if not np.isfinite(found.boxes).all():
            raise not_finite("boxes")
        if (found.classes < 0).any():
            raise InputError(
                f"The network answered with the class {int(found.classes.min())}.",
                hint="Check that it is of the family that its decoder is for; --decoder names another.",
            )
        boxes = place.to_picture(found.boxes)
        whole = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        boxes, scores, classes = boxes[whole], found.scores[whole], found.classes[whole]
        overlap = self.iou or self.decoder.iou
        if overlap < 1:
            kept = nms(boxes, scores, overlap, None if self.agnostic else classes, self.most)
        else:
            kept = np.argsort(-scores, kind="stable")[: self.most]
        made = Detections(
            np.ascontiguousarray(boxes[kept], np.float32),
            np.minimum(scores[kept], 1).astype(np.float32),
            classes[kept],
        )
        return made if self.names is None else made.named(self.names)

    def settings(self) -> dict[str, float]:
        """What a manifest keeps of this task."""
        form = self.form or self.decoder.form
        kept = {
            f"decoder_{self.decoder.name}": 1.0,
            "confidence": self.least,
            "iou": self.iou or self.decoder.iou,
            "long_side": float(self.long_side),
            "bgr": float(form.bgr),
        }
        for name, values in (("mean", form.mean), ("std", form.std)):
            kept |= {f"{name}_{channel}": value for channel, value in enumerate(values)}
        return kept

    def check(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:  # noqa: ARG002
        """One input of pictures; the outputs were looked at when the decoder was chosen.

        Raises:
            ModelError: the network takes something else.
        """
        layout_of(inputs)


def _taken(found: Candidates, places: NDArray[Any]) -> Candidates:
    return Candidates(found.boxes[places], found.scores[places], found.classes[places])


def layout_of(inputs: Sequence[TensorSpec]) -> Layout:
    """How a network takes its input.

    Raises:
        ModelError: it doesn't take one picture of three colours.
    """
    shape: Sequence[int | str] = inputs[0].shape if len(inputs) == 1 else ()
    last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
    if (
        len(shape) != 4
        or inputs[0].dtype not in ("float32", "float16", "uint8")
        or not (last or shape[1] == 3)
    ):
        raise ModelError(
            f"This is no detector of objects: it takes {', '.join(map(str, inputs)) or 'nothing'}.",
            hint="One input [N, 3, height, width] or [N, height, width, 3] was expected.",
        )
    height, width = shape[1:3] if last else shape[2:]
    size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
    return Layout(size, last, inputs[0].dtype)
