"""What is said of a face: an age and a gender, as far as a network can tell them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError


@dataclass(frozen=True)
class Bucket:
    """A range of ages.

    Attributes:
        name: such as "20-29".
        low, high: the first age in it, and the first after it.
        centre: the age that stands for it in a mean.
    """

    name: str
    low: float
    high: float
    centre: float


@dataclass(frozen=True)
class AgeEstimate:
    """An age.

    Attributes:
        bucket: the most probable one's name.
        years: the expected age.
        low, high: years between which the age lies with 80 % probability; None where the network tells none.
        probability: of the bucket, 0 to 1; None where the network tells years only.
        near: of the bucket and the two beside it together; None likewise.
    """

    bucket: str
    years: float
    low: float | None = None
    high: float | None = None
    probability: float | None = None
    near: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.years):
            raise InputError(f"The age is {self.years}.", hint="The network gave NaN: check its file.")
        _check_probability(self.probability)
        _check_probability(self.near)

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's `age`."""
        return {
            "bucket": self.bucket,
            "years": round(self.years, 1),
            "low": _rounded(self.low, 1),
            "high": _rounded(self.high, 1),
            "probability": _rounded(self.probability, 4),
        }


@dataclass(frozen=True)
class GenderEstimate:
    """A gender, of the two that the data sets label.

    Attributes:
        label: "Male" or "Female".
        probability: of it, 0.5 to 1.
    """

    label: str
    probability: float

    def __post_init__(self) -> None:
        _check_probability(self.probability)

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's `gender`."""
        return {"label": self.label, "probability": round(self.probability, 4)}


@dataclass(frozen=True, eq=False)
class FaceAttributes:
    """One face of a picture.

    Attributes:
        bbox: float32 (4,), xyxy in pixels of the upright picture.
        det_score: 0 to 1, the detector's.
        age, gender: None where the networks tell none.
        unsure: whether either is below the threshold that it needs; don't show it then.
    """

    bbox: NDArray[np.float32]
    det_score: float
    age: AgeEstimate | None
    gender: GenderEstimate | None
    unsure: bool

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `faces`."""
        return {
            "bbox": [round(float(value), 2) for value in self.bbox],
            "score": round(self.det_score, 6),
            "age": self.age.as_json() if self.age else None,
            "gender": self.gender.as_json() if self.gender else None,
            "unsure": self.unsure,
        }


def _check_probability(value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise InputError(f"A probability is {value}.", hint="The network gave NaN: check its file.")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
