"""What every decoder of face detectors is: how a picture goes in, and how the outputs become boxes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array, TensorSpec

Floats = NDArray[np.float32]


class Candidates(NamedTuple):
    """What a network takes for faces, before suppression: pixels of its input, in no order.

    Attributes:
        boxes: float32 (N, 4), xyxy.
        scores: float32 (N,).
        landmarks: float32 (N, 5, 2) in the order of `LANDMARKS`, or None.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats | None


@dataclass(frozen=True)
class Form:
    """How a network takes pixels: (value - mean) * scale.

    Attributes:
        mean: in the order that the network takes the colours.
        scale: what each difference is multiplied by.
        bgr: blue first.
        stride: sides have to be multiples of it, where they are free.
        fill: RGB of what lies beside the picture.
        stretch: a picture is stretched to fill a frame of fixed size, as the network was trained.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    bgr: bool = False
    stride: int = 32
    fill: tuple[int, int, int] = (0, 0, 0)
    stretch: bool = False

    def tensor(self, pixels: NDArray[np.uint8]) -> Floats:
        """uint8 (H, W, 3) RGB to float32 (3, H, W)."""
        made = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel, mean in enumerate(self.mean):
            made[channel] = pixels[:, :, 2 - channel if self.bgr else channel]
            if mean:
                made[channel] -= mean
        if self.scale != 1.0:
            made *= np.float32(self.scale)
        return made


class Decoder(ABC):
    """One family of face detectors; a value, safe in any number of threads."""

    name: ClassVar[str]
    expects: ClassVar[str]
    """In words, the outputs that it takes."""
    form: ClassVar[Form]
    confidence: ClassVar[float]
    """The score from which a face is one, where nothing else was asked for."""
    iou: ClassVar[float]
    """The overlap above which two boxes are one face."""
    doubt: ClassVar[float | None] = None
    """The score from which a candidate of a first, small look may be a face; None where nobody has measured it."""

    @classmethod
    @abstractmethod
    def match(cls, outputs: Sequence[TensorSpec]) -> Decoder | None:
        """The decoder for a network with these outputs; None where they are not of this family."""

    @abstractmethod
    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """One picture's outputs, without the batch axis, to all candidates whose score is at least `least`.

        Arguments:
            size: width and height of the network's input.

        Raises:
            InputError: the outputs don't fit an input of that size, or hold numbers that are not finite.
        """


def chosen(scores: Array, least: float) -> tuple[NDArray[np.intp], Floats]:
    """Which of the scores (N,) are at least `least`, and they themselves.

    Raises:
        InputError: some are not finite.
    """
    values = np.asarray(scores, np.float32)
    if not np.isfinite(values).all():
        raise not_finite("scores")
    places = np.flatnonzero(values >= least)
    return places, values[places]


def rows(array: Array, width: int) -> Floats:
    """An output as float32 (N, width); raises InputError where it has other rows."""
    if array.size % width or array.shape[-1] != width:
        raise InputError(
            f"An output of the network has the shape {list(array.shape)}.",
            hint=f"Rows of {width} numbers were expected: check the model file.",
        )
    return np.asarray(array, np.float32).reshape(-1, width)


def taken(table: Floats, places: NDArray[np.intp]) -> Floats:
    """The rows of an output at `places`.

    Raises:
        InputError: they hold numbers that are not finite.
    """
    found: Floats = table[places]
    if not np.isfinite(found).all():
        raise not_finite("boxes or landmarks")
    return found


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Columns and rows of a feature map."""
    return -(-size[0] // stride), -(-size[1] // stride)


def check_count(found: int, wanted: int, size: tuple[int, int]) -> None:
    """Check that a network gave an answer for each of its anchors.

    Raises:
        InputError: it gave another number.
    """
    if found != wanted:
        raise InputError(
            f"The network gave {found} answers for {size[0]} x {size[1]} pixels, where {wanted} were expected.",
            hint="Check that the model file is of the family that its decoder is for.",
        )


def not_finite(what: str) -> InputError:
    """The error for NaN or infinity in an output."""
    return InputError(
        f"The network's {what} hold numbers that are not finite.",
        hint="Check the model file with `edgeproof models verify`; in low precision, use another engine or f32.",
    )
