"""What every family of age and gender networks is: what it is shown of a face, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import Bucket
from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array, TensorSpec

Probabilities = NDArray[np.float64]

GENDERS = ("Male", "Female")

# FairFace's. The highest ends at 90 for the interval's sake; 75 stands for it, as its faces are rarely older.
FAIRFACE: tuple[Bucket, ...] = (
    Bucket("0-2", 0, 3, 1),
    Bucket("3-9", 3, 10, 6),
    Bucket("10-19", 10, 20, 14.5),
    Bucket("20-29", 20, 30, 24.5),
    Bucket("30-39", 30, 40, 34.5),
    Bucket("40-49", 40, 50, 44.5),
    Bucket("50-59", 50, 60, 54.5),
    Bucket("60-69", 60, 70, 64.5),
    Bucket("70+", 70, 90, 75),
)


@dataclass(frozen=True)
class Answers:
    """What a network says of N faces; None for what it doesn't tell.

    Attributes:
        age: float64 (N, buckets), each row summing to 1.
        years: float64 (N,).
        gender: float64 (N, 2), in the order of `GENDERS`.
    """

    age: Probabilities | None = None
    years: NDArray[np.float64] | None = None
    gender: Probabilities | None = None


class Family(Protocol):
    """One family of networks; a value, safe in any number of threads."""

    name: ClassVar[str]
    expects: ClassVar[str]
    """In words, what goes in and comes out."""
    side: ClassVar[int]
    """Pixels of its square input."""
    grow: ClassVar[float]
    """How much of its side the square around a detector's box grows on each side before it is shown."""
    central: ClassVar[float]
    """What share of the side of a face crop of FairFace's kind, which has a margin, it is shown."""
    buckets: ClassVar[tuple[Bucket, ...]]

    @classmethod
    def match(cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Family | None:
        """The family of a network with these inputs and outputs; None where it is another's."""
        ...

    @property
    def tells_age(self) -> bool:
        """Whether its network answers ages."""
        ...

    @property
    def tells_gender(self) -> bool:
        """Whether its network answers genders."""
        ...

    def with_settings(self, settings: Mapping[str, Any]) -> Family:
        """The family with what the catalogue or a bundle says of one network."""
        ...

    def settings(self) -> dict[str, float]:
        """What a manifest keeps of it, as `with_settings` takes it."""
        ...

    def prepare(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Squares uint8 (N, side, side, 3) RGB to what the network takes."""
        ...

    def read(self, outputs: Mapping[str, Array]) -> Answers:
        """Outputs of N faces to what they mean.

        Raises:
            InputError: they are not finite.
        """
        ...


def takes(inputs: Sequence[TensorSpec], shape: tuple[int, ...]) -> bool:
    """Whether a network has one float input of this shape, of whatever batch."""
    if len(inputs) != 1 or inputs[0].dtype not in ("float32", "float16"):
        return False
    spec = inputs[0]
    return TensorSpec(spec.name, spec.shape[1:], spec.dtype).accepts(shape)


def widths(outputs: Sequence[TensorSpec]) -> dict[int, str]:
    """How many numbers an output gives for each face, and its name."""
    return {
        spec.shape[1]: spec.name
        for spec in outputs
        if len(spec.shape) >= 2
        and isinstance(spec.shape[1], int)
        and all(size == 1 for size in spec.shape[2:])
    }


def finite(outputs: Mapping[str, Array], name: str) -> NDArray[np.float64]:
    """An output as float64 (N, k).

    Raises:
        InputError: it has numbers that are not finite.
    """
    values = np.asarray(outputs[name], np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            f"The network's output {name} holds numbers that are not finite.",
            hint="Check the model file; in low precision, use another engine or f32.",
        )
    return values.reshape(len(values), -1)


def shares(values: NDArray[np.float64]) -> Probabilities:
    """What a network's own softmax gave, with each row summing to 1 again.

    Raises:
        InputError: some are negative, or a row is 0.
    """
    sums = values.sum(axis=1, keepdims=True)
    if (values < 0).any() or not (sums > 0).all():
        raise InputError(
            "The network's outputs are no probabilities.", hint="Export it with the softmax at its end."
        )
    return np.asarray(values / sums)


def planes(crops: NDArray[np.uint8], *, bgr: bool) -> NDArray[np.float32]:
    """(N, S, S, 3) RGB to float32 (N, 3, S, S)."""
    ordered = crops[..., ::-1] if bgr else crops
    return np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
