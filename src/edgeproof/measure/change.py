"""Whether a series changed its level at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeproof.measure.statistics import Values
from edgeproof.measure.trend import MOST_POINTS, binned, block_length, ranks_of, theil_sen

_PERMUTATIONS = 999
_FEWEST_BLOCKS = 12  # fewer have too few orders
_EDGE = 0.05  # of the series on each side: a level needs values to be one


@dataclass(frozen=True)
class Step:
    """A change of level.

    Attributes:
        at: index of the first value after it.
        before, after: the medians on both sides.
        p: how probable so large a change would be were there none.
        sharp: whether one step describes the series better than a straight line does.
    """

    at: int
    before: float
    after: float
    p: float
    sharp: bool

    @property
    def ratio(self) -> float:
        """The level after it as a multiple of the one before."""
        return self.after / self.before if self.before else math.inf


def find_step(values: Values, seed: int = 0) -> Step:
    """The most probable change of level, and how sure it is.

    Pettitt's statistic (1979, "A non-parametric approach to the change-point problem"), the largest of
    |2 (R_1 + ... + R_t) - t (n + 1)| over the ranks R. Its significance comes from permuting whole blocks of the
    series (Kirch 2007, "Block permutation principles for the change analysis of dependent data"), as values that
    hang together give large sums without any change.

    Arguments:
        values: (n,) in order, 8 or more; medians of at most `MOST_POINTS` bins are looked at.
    """
    n = len(values)
    _, levels = binned(np.arange(n, dtype=np.float64), values)
    count = len(levels)
    ranks = ranks_of(levels)
    edge = max(2, math.ceil(_EDGE * count))
    places = np.arange(edge, count - edge + 1)
    # Weighted by both lengths: the largest sum itself lies too near the middle.
    weight = np.sqrt(places * (count - places))
    at = edge + int(np.argmax(_sums(ranks)[edge - 1 : count - edge] / weight))
    parts = levels[:at], levels[at:]
    flat = np.concatenate([part - np.median(part) for part in parts])
    p = _significance(ranks, edge, min(block_length(flat), max(1, count // _FEWEST_BLOCKS)), seed)
    place = _first_after(values, at, count)
    return Step(
        place, float(np.median(values[:place])), float(np.median(values[place:])), p, _is_sharp(levels, flat)
    )


def _sums(ranks: Values) -> Values:
    """|2 (R_1 + ... + R_t) - t (n + 1)| of each row of ranks, for t of 1 to n - 1."""
    n = ranks.shape[-1]
    sums: Values = np.abs(2 * ranks.cumsum(axis=-1) - np.arange(1, n + 1) * (n + 1.0))[..., :-1]
    return sums


def _significance(ranks: Values, edge: int, length: int, seed: int) -> float:
    count = len(ranks)
    random = np.random.default_rng(seed)
    block_of = np.arange(count) // length
    keys = random.random((_PERMUTATIONS, int(block_of[-1]) + 1))
    orders = keys[:, block_of].argsort(axis=1, kind="stable")  # each block's members keep their order
    inner = slice(edge - 1, count - edge)
    observed = _sums(ranks)[inner].max()
    return float((1 + (_sums(ranks[orders])[:, inner].max(axis=1) >= observed).sum()) / (1 + _PERMUTATIONS))


def _first_after(values: Values, at: int, count: int) -> int:
    """The index in the whole series where the step lies best, searched in the bins beside bin `at`."""
    n = len(values)
    if n <= MOST_POINTS:
        return at
    size = n / count
    low, high = max(1, int((at - 2) * size)), min(n - 1, int((at + 2) * size))
    before = float(np.median(values[max(0, low - int(6 * size)) : low]))
    after = float(np.median(values[high : high + int(6 * size)]))
    middle = (before + after) / 2
    wrong = np.sign(after - before) * np.sign(values[low:high] - middle)
    # The split with the most values on their own side of the middle.
    return low + int(np.argmin(np.concatenate(([0.0], np.cumsum(wrong)))))


def _is_sharp(levels: Values, flat: Values) -> bool:
    x = np.arange(len(levels), dtype=np.float64)
    line = levels - theil_sen(x, levels) * x
    return bool(np.abs(flat).sum() <= np.abs(line - np.median(line)).sum())
