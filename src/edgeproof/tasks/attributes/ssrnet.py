"""SSR-Net (Yang et al. 2018, A Compact Soft Stagewise Regression Network for Age Estimation): an age in years.

Its published demonstration shows it 64x64 BGR with a wide margin, the values of each crop stretched to 0 to 255. On
1,000 faces of FairFace RGB, or values of 0 to 1, were no better than guessing, and a narrow crop hardly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import Bucket
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.tasks.attributes.family import FAIRFACE, Answers, finite, takes, widths


@dataclass(frozen=True)
class SsrNet:
    """The network for ages.

    Attributes:
        output: its name.
        channels_last: whether it takes (N, 64, 64, 3), as Keras stores it.
    """

    output: str
    channels_last: bool

    name: ClassVar[str] = "ssrnet"
    expects: ClassVar[str] = "[N, 64, 64, 3] BGR in, years [N, 1] out"
    side: ClassVar[int] = 64
    grow: ClassVar[float] = 0.25
    central: ClassVar[float] = 1.0
    buckets: ClassVar[tuple[Bucket, ...]] = FAIRFACE

    @property
    def tells_age(self) -> bool:
        """Always."""
        return True

    @property
    def tells_gender(self) -> bool:
        """Never."""
        return False

    @classmethod
    def match(cls, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> SsrNet | None:
        """By the size of its input and its one number."""
        last = takes(inputs, (cls.side, cls.side, 3))
        if (
            len(outputs) != 1
            or 1 not in widths(outputs)
            or not (last or takes(inputs, (3, cls.side, cls.side)))
        ):
            return None
        return cls(outputs[0].name, last)

    def settings(self) -> dict[str, float]:
        """See `Family.settings`: nothing of it varies."""
        return {}

    def with_settings(self, settings: Mapping[str, Any]) -> SsrNet:  # noqa: ARG002
        """See `Family.with_settings`: nothing of it varies."""
        return self

    def prepare(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Family.prepare`."""
        tensor = crops[..., ::-1].astype(np.float32)
        tensor -= tensor.min(axis=(1, 2, 3), keepdims=True)
        tensor *= 255.0 / np.maximum(tensor.max(axis=(1, 2, 3), keepdims=True), 1.0)
        return tensor if self.channels_last else np.ascontiguousarray(tensor.transpose(0, 3, 1, 2))

    def read(self, outputs: Mapping[str, Array]) -> Answers:
        """See `Family.read`."""
        return Answers(years=np.clip(finite(outputs, self.output)[:, 0], 0.0, 120.0))
