"""The pair of networks of Levi and Hassner 2015 (Age and gender classification using CNNs), as OpenCV's samples use it.

Two files, one for eight age ranges and one for two genders; each takes 227x227 BGR less the mean (104, 117, 123).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import Bucket
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.attributes.family import Answers, finite, planes, shares, takes, widths

MEAN = (104.0, 117.0, 123.0)
# Adience's ranges leave gaps; an age between two counts to the nearer one.
ADIENCE: tuple[Bucket, ...] = (
    Bucket("(0-2)", 0, 3.5, 1),
    Bucket("(4-6)", 3.5, 7.5, 5),
    Bucket("(8-12)", 7.5, 14, 10),
    Bucket("(15-20)", 14, 23, 17.5),
    Bucket("(25-32)", 23, 35.5, 28.5),
    Bucket("(38-43)", 35.5, 46, 40.5),
    Bucket("(48-53)", 46, 57, 50.5),
    Bucket("(60-100)", 57, 101, 70),
)


@dataclass(frozen=True)
class LeviHassner:
    """One of the two networks.

    Attributes:
        output: its name; it gives probabilities.
        ages: whether it is the one for ages.
        mean: BGR, what is taken from each pixel; the authors' own is a little lower.
    """

    output: str
    ages: bool
    mean: tuple[float, float, float] = MEAN

    name: ClassVar[str] = "levi-hassner"
    expects: ClassVar[str] = "[N, 3, 227, 227] BGR less its mean in, probabilities [N, 8] or [N, 2] out"
    side: ClassVar[int] = 227
    grow: ClassVar[float] = 0.1
    central: ClassVar[float] = 1.0
    buckets: ClassVar[tuple[Bucket, ...]] = ADIENCE

    @property
    def tells_age(self) -> bool:
        """Of the two networks one does."""
        return self.ages

    @property
    def tells_gender(self) -> bool:
        """The other one."""
        return not self.ages

    @classmethod
    def match(cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> LeviHassner | None:
        """By the size of its input and the width of its one output."""
        found = widths(outputs)
        if len(outputs) != 1 or not takes(inputs, (3, cls.side, cls.side)) or not found.keys() & {8, 2}:
            return None
        return cls(outputs[0].name, 8 in found)

    def settings(self) -> dict[str, float]:
        """See `Family.settings`."""
        return {f"mean_{channel}": value for channel, value in enumerate(self.mean)}

    def with_settings(self, settings: Mapping[str, Any]) -> LeviHassner:
        """See `Family.with_settings`: the catalogue has the authors' mean, a bundle each channel's."""
        own = [settings.get(f"mean_{channel}", value) for channel, value in enumerate(self.mean)]
        blue, green, red = map(float, settings.get("mean", own))
        return replace(self, mean=(blue, green, red))

    def prepare(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Family.prepare`."""
        tensor = planes(crops, bgr=True)
        tensor -= np.array(self.mean, np.float32)[:, None, None]
        return tensor

    def read(self, outputs: Mapping[str, Array]) -> Answers:
        """See `Family.read`."""
        values = shares(finite(outputs, self.output))
        return Answers(age=values) if self.ages else Answers(gender=values)
