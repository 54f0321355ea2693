"""The two things that are extended most: an engine runs a network, a task gives it meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.tensor import Array, Tensors, TensorSpec

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class EngineInfo:
    """What really runs a network.

    Attributes:
        name: the engine's name in the registry.
        version: of the library behind it.
        provider: the execution provider that took the network, as the library calls it.
        threads: threads inside one run.
        thread_safe: whether `run` may be called from several threads at once.
        precision: what floating-point layers compute in, whatever the weights are stored as.
    """

    name: str
    version: str
    provider: str
    threads: int
    thread_safe: bool
    precision: str = "f32"


class Engine(Protocol):
    """A network that has been opened in one runtime; a context manager."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once; raises InputError for feeds that don't fit, EngineError when closed or failing."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...


@dataclass(frozen=True)
class Prepared:
    """One picture ready for a network.

    Attributes:
        tensor: what the network takes, without the batch axis.
        context: what `decode` needs to map results back to the picture.
    """

    tensor: Array
    context: Any = None


@dataclass(frozen=True)
class Example:
    """One labelled view of a photo.

    Attributes:
        tensor: what the network takes, without the batch axis.
        truth: the right class.
    """

    tensor: Array
    truth: int


class Task(Protocol):
    """What a network is for: pure functions without state, safe in any number of threads."""

    @property
    def name(self) -> str: ...

    @property
    def cover(self) -> int:
        """The short side, in pixels, that a decoded picture must at least have."""
        ...

    @property
    def metric_name(self) -> str: ...

    def prepare(self, pixels: Pixels) -> Prepared:
        """(H, W, 3) uint8 RGB, upright, to what the network takes."""
        ...

    def decode(self, outputs: Mapping[str, Array], prepared: Prepared) -> Any:
        """One picture's outputs (without the batch axis) to a result."""
        ...

    def settings(self) -> dict[str, float]:
        """What a bundle's manifest keeps of it."""
        ...

    def check(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        """Raise ModelError where a network can't be one for this task."""
        ...
