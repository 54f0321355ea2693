"""How far the tensors of a candidate are from those of the original."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array, Tensors


@dataclass(frozen=True)
class OutputDifference:
    """How far one output is from the reference.

    Attributes:
        output: its name.
        max_abs: the largest absolute difference; infinite where either has NaN, or infinity the other hasn't.
        max_rel: `max_abs` over the largest finite magnitude in the reference (not element by element: that
            would be ruled by values near 0, which decide nothing).
        cosine: of the angle between the two as vectors, -1 to 1; 0 where `max_abs` is infinite.
    """

    output: str
    max_abs: float
    max_rel: float
    cosine: float


def compare_outputs(reference: Tensors, candidate: Tensors) -> list[OutputDifference]:
    """Compare each output of a candidate with the reference, in the reference's order.

    Arguments:
        reference: arrays by output name; any shape, any real dtype.
        candidate: the same names and shapes; another real dtype is compared by value.

    Raises:
        ModelError: an output is missing or too many, has another shape, or holds no real numbers.
    """
    if set(reference) != set(candidate):
        raise ModelError(
            f"The outputs differ: {sorted(reference)} expected, {sorted(candidate)} found.",
            hint="A network and its candidate must have the same outputs; build the candidate again.",
        )
    return [_difference(name, wanted, candidate[name]) for name, wanted in reference.items()]


def _difference(name: str, reference: Array, candidate: Array) -> OutputDifference:
    if reference.shape != candidate.shape:
        raise ModelError(
            f"Output {name!r} has shape {list(candidate.shape)}, expected {list(reference.shape)}.",
            hint="Run both on the same inputs; if it stays, the candidate is not the same network.",
        )
    a, b = _real(name, reference), _real(name, candidate)
    same = a == b
    finite = np.isfinite(a) & np.isfinite(b)
    largest = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    if not (finite | same).all():
        return OutputDifference(name, math.inf, math.inf, 0.0)
    a, b = a[finite], b[finite]
    with np.errstate(over="ignore"):  # two float64 at opposite ends: infinitely far apart is the right answer
        max_abs = float(np.abs(a - b).max(initial=0.0))
    if max_abs == 0.0:
        return OutputDifference(name, 0.0, 0.0, 1.0)
    if math.isinf(max_abs):
        return OutputDifference(name, math.inf, math.inf, 0.0)
    max_rel = max_abs / largest if largest else math.inf
    return OutputDifference(name, max_abs, max_rel, _cosine(a, b))


def _real(name: str, array: Array) -> NDArray[np.float64]:
    if array.dtype.kind not in "biuf":
        raise ModelError(
            f"Output {name!r} has dtype {array.dtype}, which holds no real numbers.",
            hint="Export the network without its text or object outputs.",
        )
    return array.astype(np.float64)


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    longest_a, longest_b = float(np.abs(a).max()), float(np.abs(b).max())
    if longest_a == 0.0 or longest_b == 0.0:
        return 0.0
    a, b = a / longest_a, b / longest_b  # squares of large values would overflow
    return float(np.clip((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()), -1.0, 1.0))
