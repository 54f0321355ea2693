"""What every decoder of object detectors is: how a picture goes in, and how the outputs become boxes."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array, TensorSpec

Floats = NDArray[np.float32]

YOLO_STRIDES = (8, 16, 32)


class Candidates(NamedTuple):
    """What a network takes for objects, in pixels of its input, in no order.

    Attributes:
        boxes: float32 (N, 4), xyxy.
        scores: float32 (N,).
        classes: int64 (N,), from 0.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Form:
    """How a network takes pictures: (value - mean) / std.

    Attributes:
        mean, std: in the order that the network takes the colours.
        bgr: blue first.
        fill: the grey level of what lies beside the picture.
        centred: the picture lies in the middle of its frame; else in the upper left corner.
        enlarge: a picture smaller than the frame is enlarged to fill it.
        stretch: the picture is stretched to fill the frame, without keeping its shape.
        stride: sides have to be multiples of it, where they are free.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    fill: int = 114
    centred: bool = False
    enlarge: bool = True
    stretch: bool = False
    stride: int = 32


@dataclass(frozen=True)
class Known:
    """What is known of a network before it runs.

    Attributes:
        outputs: of the network, in its order.
        size: width and height of its input; None where they are free.
        classes: how many classes its file names; None where it names none.
    """

    outputs: Sequence[TensorSpec]
    size: tuple[int, int] | None = None
    classes: int | None = None


class Decoder(Protocol):
    """One family of detectors; a value, safe in any number of threads."""

    name: ClassVar[str]
    expects: ClassVar[str]
    """In words, the outputs that it takes."""
    form: ClassVar[Form]
    confidence: ClassVar[float]
    """The score from which a candidate is an object, where nothing else was asked for."""
    iou: ClassVar[float]
    """The overlap above which two boxes of one class are one object; 1 where the network suppresses itself."""

    @property
    def classes(self) -> int | None:
        """How many classes its network tells; None where the outputs don't say."""
        ...

    @classmethod
    def match(cls, known: Known, *, named: bool = False) -> Decoder | None:
        """The decoder for a network; None where its outputs are not of this family.

        Arguments:
            named: the user has named this family: what is ambiguous is then taken for it.
        """
        ...

    def decode(self, outputs: Mapping[str, Array], size: tuple[int, int], least: float) -> Candidates:
        """One picture's outputs, without the batch axis, to all candidates whose score is at least `least`.

        Arguments:
            size: width and height of the network's input.

        Raises:
            InputError: the outputs don't fit an input of that size, or hold numbers that are not finite.
        """
        ...


def best_class(
    scores: NDArray[Any], least: float, axis: int = 1
) -> tuple[NDArray[np.intp], Floats, NDArray[np.int64]]:
    """Which candidates have a class of at least `least`, their scores and their classes.

    Arguments:
        scores: float (N, classes), or (classes, N) with `axis` 0.

    Raises:
        InputError: some are not finite.
    """
    most = scores.max(axis=axis)  # NaN wins any maximum, so that looking at these is enough
    if not np.isfinite(most).all():
        raise not_finite("scores")
    places = np.flatnonzero(most >= least)
    chosen = scores[places] if axis == 1 else scores[:, places]
    return places, most[places].astype(np.float32), chosen.argmax(axis=axis).astype(np.int64)


def corners(centred: Floats) -> Floats:
    """Boxes (N, 4) as centre and size to corners."""
    half = centred[:, 2:4] / 2
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], axis=1)


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Columns and lines of a feature map."""
    return -(-size[0] // stride), -(-size[1] // stride)


def cell_count(size: tuple[int, int] | None, strides: Sequence[int]) -> int | None:
    """How many cells the feature maps have together; None where the size isn't known."""
    return None if size is None else sum(int(np.prod(cells(size, stride))) for stride in strides)


@functools.lru_cache(maxsize=8)
def grid(size: tuple[int, int], strides: tuple[int, ...], offset: float = 0.0) -> tuple[Floats, Floats]:
    """The place of each cell, float32 (N, 2) in cells of its own map, and its stride (N, 1), map by map."""
    places, steps = [], []
    for stride in strides:
        columns, lines = cells(size, stride)
        y, x = np.meshgrid(np.arange(lines), np.arange(columns), indexing="ij")
        places.append(np.stack([x, y], axis=-1).reshape(-1, 2) + offset)
        steps.append(np.full((columns * lines, 1), stride))
    made = np.concatenate(places).astype(np.float32), np.concatenate(steps).astype(np.float32)
    for array in made:
        array.flags.writeable = False
    return made


def sigmoid(values: Floats) -> Floats:
    """1 / (1 + exp(-x)), for any finite or infinite x without a warning."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)


def logit(share: float) -> float:
    """Where the sigmoid has that value; infinite at 0 and 1."""
    return math.inf if share >= 1 else -math.inf if share <= 0 else math.log(share / (1 - share))


def check_count(found: int, wanted: int, size: tuple[int, int]) -> None:
    """Check that a network gave an answer for each of its cells.

    Raises:
        InputError: it gave another number.
    """
    if found != wanted:
        raise InputError(
            f"The network gave {found} answers for {size[0]} x {size[1]} pixels, where {wanted} were expected.",
            hint="Check that it is of the family that its decoder is for; --decoder names another.",
        )


def not_finite(what: str) -> InputError:
    """The error for NaN or infinity in an output."""
    return InputError(
        f"The network's {what} hold numbers that are not finite.",
        hint="Check the model file; in low precision, use another engine or f32.",
    )


def fits(size: int | str, wanted: int | None) -> bool:
    """Whether a dimension is the wanted one, as far as both are known."""
    return wanted is None or isinstance(size, str) or size == wanted
