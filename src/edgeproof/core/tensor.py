"""What a network's input or output looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError, ModelError, did_you_mean

Array = NDArray[np.generic]
Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and dtype of one input or output.

    A dimension is an int where it is fixed, a str where it is symbolic ("N", "batch").
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ModelError(
                "A tensor has no name.", hint="Export the network with named inputs and outputs."
            )
        np.dtype(self.dtype)
        for size in self.shape:
            if isinstance(size, int) and size < 0:
                raise ModelError(
                    f"Tensor {self.name!r} has the size {size}.",
                    hint="Sizes are 0 or more, or a symbolic name.",
                )

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"

    def accepts(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape fits; symbolic sizes take any size of 1 or more."""
        return len(shape) == len(self.shape) and all(
            given == wanted if isinstance(wanted, int) else given >= 1
            for given, wanted in zip(shape, self.shape, strict=True)
        )


def check_feeds(specs: Sequence[TensorSpec], feeds: Tensors) -> None:
    """Check that `feeds` names every input once, with the right shape and dtype.

    Raises:
        InputError: naming what was expected and what came.
    """
    names = [spec.name for spec in specs]
    if not isinstance(feeds, Mapping):
        raise InputError(
            f"The feeds are a {type(feeds).__name__}.",
            hint=f"Expected a dict with an array for each of: {', '.join(map(str, specs))}.",
        )
    for name in feeds:
        if name not in names:
            raise InputError(f"The network has no input {name!r}.", hint=did_you_mean(str(name), names))
    for spec in specs:
        if spec.name not in feeds:
            raise InputError(f"Input {spec.name!r} is missing.", hint=f"Expected: {spec}.")
        array = feeds[spec.name]
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"Input {spec.name!r} is a {type(array).__name__}.", hint=f"Expected a numpy array: {spec}."
            )
        if array.dtype != np.dtype(spec.dtype):
            raise InputError(
                f"Input {spec.name!r} has dtype {array.dtype}, expected {spec.dtype}.",
                hint=f"Convert it: array.astype('{spec.dtype}').",
            )
        if not spec.accepts(array.shape):
            raise InputError(f"Input {spec.name!r} has shape {list(array.shape)}.", hint=f"Expected: {spec}.")
