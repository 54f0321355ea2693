"""The network that comes with the package, and others with FairFace's nine ages and two genders as logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import Bucket
from edgeproof.core.softmax import softmax
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.attributes.family import FAIRFACE, Answers, finite, planes, takes, widths

# Fitted on FairFace's validation faces; data/attributes.md has the figures.
AGE_TEMPERATURE = 1.0
GENDER_TEMPERATURE = 0.75


@dataclass(frozen=True)
class FairFace:
    """One network for both.

    Attributes:
        age, gender: the names of its outputs.
        age_temperature, gender_temperature: what their logits are divided by, so that probabilities hold.
    """

    age: str = "age"
    gender: str = "gender"
    age_temperature: float = AGE_TEMPERATURE
    gender_temperature: float = GENDER_TEMPERATURE

    name: ClassVar[str] = "fairface"
    expects: ClassVar[str] = "[N, 3, 112, 112] RGB 0 to 255 in, logits [N, 9] and [N, 2] out"
    side: ClassVar[int] = 112
    # FairFace's crops are 1.08 times as wide as YuNet's boxes, which hold a whole head: those need no more around them.
    # A quarter more on each side costs 6 points of gender and makes people 5 years younger (598 faces of LFW).
    grow: ClassVar[float] = 0.0
    central: ClassVar[float] = 8 / 9
    buckets: ClassVar[tuple[Bucket, ...]] = FAIRFACE

    @property
    def tells_age(self) -> bool:
        """Always."""
        return True

    @property
    def tells_gender(self) -> bool:
        """Always."""
        return True

    @classmethod
    def match(cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> FairFace | None:
        """By the widths of its two outputs."""
        found = widths(outputs)
        if len(outputs) != 2 or found.keys() != {9, 2} or not takes(inputs, (3, cls.side, cls.side)):
            return None
        return cls(found[9], found[2])

    def prepare(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Family.prepare`; normalisation is inside the network."""
        return planes(crops, bgr=False)

    def read(self, outputs: Mapping[str, Array]) -> Answers:
        """See `Family.read`."""
        return Answers(
            age=softmax(finite(outputs, self.age), self.age_temperature),
            gender=softmax(finite(outputs, self.gender), self.gender_temperature),
        )

    def settings(self) -> dict[str, float]:
        """See `Family.settings`."""
        return {"age_temperature": self.age_temperature, "gender_temperature": self.gender_temperature}

    def with_settings(self, settings: Mapping[str, Any]) -> FairFace:
        """See `Family.with_settings`: a bundle has temperatures of its own."""
        return FairFace(
            self.age,
            self.gender,
            float(settings.get("age_temperature", self.age_temperature)),
            float(settings.get("gender_temperature", self.gender_temperature)),
        )
