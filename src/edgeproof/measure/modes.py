"""Whether latencies gather around more than one value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeproof.measure.statistics import Values

# Neighbours hang together, and the chance below is for independent values: one in 5 is looked at, 1,000 at the most.
_MOST, _ONE_IN = 1000, 5
# The dip times the root of n that 0.1 % of 20,000 uniform samples of n = 400 exceed (0.66 for n = 50); of all with one
# mode the uniform is the hardest to tell.
_CRITICAL = 0.72
_APART = 1.05  # two clocks of one processor differ by more


@dataclass(frozen=True)
class Modes:
    """Two values around which latencies gather, in ms, and the share of the upper one."""

    low: float
    high: float
    share_high: float


def find_modes(values: Values) -> Modes | None:
    """The two groups that latencies fall into, or None where they have one mode, or fewer than 50 values.

    Hartigan's dip test on the logarithms; the groups are split where the variance within them is least (Otsu 1979).

    Arguments:
        values: (n,) latencies in ms, above 0.
    """
    if len(values) < 50:
        return None
    count = min(_MOST, max(50, len(values) // _ONE_IN))
    spread = values[np.linspace(0, len(values) - 1, count).astype(int)]
    logs = np.sort(np.log(spread))
    if dip(logs) * math.sqrt(len(logs)) <= _CRITICAL:
        return None
    border = math.exp(_split(logs))
    low, high = values[values <= border], values[values > border]
    if not len(high) or np.median(high) < _APART * np.median(low):
        return None
    return Modes(float(np.median(low)), float(np.median(high)), len(high) / len(values))


def dip(ordered: Values) -> float:
    """The largest distance of a sample's distribution function to the nearest one with a single mode.

    The algorithm of Hartigan and Hartigan (1985, "The dip test of unimodality"): the greatest convex minorant left of
    the mode and the least concave majorant right of it, with the modal interval narrowed until the gap between the
    two inside is no more than that to the function outside.

    Arguments:
        ordered: (n,) rising values.
    """
    n = len(ordered)
    below, above = np.arange(n) / n, np.arange(1, n + 1) / n
    first, last, found = 0, n - 1, 1 / n
    while True:
        part = slice(first, last + 1)
        x, lower, upper = ordered[part], below[part], above[part]
        minorant, majorant = _hull(x, lower, 1), _hull(x, upper, -1)
        convex = np.interp(x, x[minorant], lower[minorant])
        concave = np.interp(x, x[majorant], upper[majorant])
        gap = concave - convex
        at_minorant, at_majorant = (
            minorant[int(np.argmax(gap[minorant]))],
            majorant[int(np.argmax(gap[majorant]))],
        )
        largest = max(gap[at_minorant], gap[at_majorant])
        if largest <= found or last - first < 2:
            break
        if gap[at_minorant] >= gap[at_majorant]:
            left = at_minorant
            right = next((v for v in majorant if v >= left), majorant[-1])
        else:
            right = at_majorant
            left = next((v for v in reversed(minorant) if v <= right), minorant[0])
        outside = max(
            float((upper - convex)[: left + 1].max(initial=0.0)),
            float((concave - lower)[right:].max(initial=0.0)),
        )
        found = max(found, outside)
        if (left, right) == (0, last - first):
            break
        first, last = first + left, first + right
    return found / 2


def _hull(x: Values, y: Values, side: int) -> list[int]:
    """Indices of the points on the lower (side 1) or upper (side -1) convex hull."""
    xs, ys = x.tolist(), (side * y).tolist()
    kept: list[int] = []
    for i in range(len(xs)):
        while len(kept) >= 2 and (ys[kept[-1]] - ys[kept[-2]]) * (xs[i] - xs[kept[-2]]) >= (
            ys[i] - ys[kept[-2]]
        ) * (xs[kept[-1]] - xs[kept[-2]]):
            kept.pop()
        kept.append(i)
    return kept


def _split(ordered: Values) -> float:
    n = len(ordered)
    count = np.arange(1, n)
    sums = np.cumsum(ordered)
    left, right = sums[:-1] / count, (sums[-1] - sums[:-1]) / (n - count)
    at = int(np.argmax(count * (n - count) * (left - right) ** 2))
    return float((ordered[at] + ordered[at + 1]) / 2)
