"""Whether one thing is faster than another, or whether nobody can tell.

What repeats is the process and not the run: addresses, huge pages and the machine's mood of the moment stay the same
within one, so that thousands of its runs are one vote. Every statement here is about processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Literal

import numpy as np

from edgeproof.core.errors import DataError
from edgeproof.measure.statistics import Values, ratio_interval, student

Verdict = Literal["faster", "slower", "can't tell"]
Processes = Sequence[Sequence[Sequence[float]]]  # of each process its blocks, of each block its latencies

CONFIDENCE = 0.99
# The second witness: on a machine whose processes differ by 30 %, eight pairs that agree on 4 % are no evidence yet.
_P = 0.05
# Differences below are never called: the order of linking and the size of the environment make as much (Mytkowicz et
# al. 2009, "Producing wrong data without doing anything obviously wrong!"), and a file's path is part of both.
SMALLEST = 0.01
# The reference load is one thread in the caches: memory and further threads may feel a busy machine more than it does.
_FELT = 1.5
_RESAMPLES = 2000


@dataclass(frozen=True)
class Comparison:
    """One thing against another.

    Attributes:
        ratio: how many times the other's median it takes: 0.5 is half the time.
        ci: the interval of that, of 99 % unless another was asked for.
        p: Mann-Whitney over the medians of the processes, two-sided, exact.
        effect: Cliff's delta over all runs, -1 (each of its runs is faster) to 1.
        moved: how many times longer the reference load took with this; None where they took turns.
    """

    ratio: float
    ci: tuple[float, float]
    p: float
    effect: float
    moved: float | None
    verdict: Verdict


def compare(
    this: Processes,
    other: Processes,
    *,
    together: bool,
    moved: float = 1.0,
    waited: float = 1.0,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Comparison:
    """Compare the latencies of two things: faster or slower only where the interval and the Mann-Whitney test agree.

    Arguments:
        this, other: latencies in ms.
        together: process i of both were measured in turns, and block j of each within the same second or two: what the
            machine did to a pair of blocks then cancels in their ratio.
        moved: where they weren't, how many times longer the reference load took with this than with the other. How
            much of that the networks felt nobody knows: the interval holds everything from nothing to somewhat more.
        waited: likewise, how many times longer this took for the cores that its threads had to wait for.
        confidence: a fraction.
        seed: of the resampling.

    Raises:
        DataError: one has no runs.
    """
    if together:
        ratio, low, high = _together(this, other, confidence, seed)
    else:
        ratio, low, high = _apart(this, other, confidence, seed)
        felt = (1.0, moved**-_FELT, 1 / waited)
        low, high = low * min(felt), high * max(felt)
    one, two = _process_medians(this), _process_medians(other)
    p = mann_whitney(one, two)
    verdict: Verdict = "can't tell"
    if p <= max(_P, least_p(len(one), len(two))):
        verdict = "faster" if high < 1 - SMALLEST else "slower" if low > 1 + SMALLEST else verdict
    delta = cliffs_delta(_all(this), _all(other))
    return Comparison(ratio, (low, high), p, delta, None if together else moved, verdict)


def _together(this: Processes, other: Processes, confidence: float, seed: int) -> tuple[float, float, float]:
    """Each pair of blocks gives a ratio; the answer is the median over the processes of the medians of theirs.

    The interval is never narrower than the exact order-statistic one over the processes (`ratio_interval`).
    """
    ratios = []
    for one, two in zip(this, other, strict=False):
        pairs = [(a, b) for a, b in zip(one, two, strict=False) if a and b]
        if pairs:
            ratios.append(np.array([np.median(a) / np.median(b) for a, b in pairs]))
    if not ratios:
        raise _nothing()
    middle = [[float(np.median(process))] for process in ratios]
    ratio, low, high = ratio_interval(middle, [[1.0]] * len(middle), confidence)
    if len(ratios) > 1:
        ends = _ends(_resampled(ratios, np.random.default_rng(seed)), len(ratios), confidence)
        low, high = min(low, ends[0]), max(high, ends[1])
    return ratio, low, high


def _apart(this: Processes, other: Processes, confidence: float, seed: int) -> tuple[float, float, float]:
    """The ratio of the medians over the processes of both.

    The interval is never narrower than that of the Mann-Whitney test over the processes (Hodges and Lehmann 1963): the
    ratios of all pairs of them, without as many at each end as the test would still allow.
    """
    sides = [[np.array([np.median(b) for b in blocks if b]) for blocks in side] for side in (this, other)]
    sides = [[process for process in side if len(process)] for side in sides]
    if not all(sides):
        raise _nothing()
    one, two = ([float(np.median(process)) for process in side] for side in sides)
    ratio = float(np.median(one)) / float(np.median(two))
    pairs = np.sort(np.divide.outer(one, two).ravel())
    beyond = _most_beyond(len(one), len(two), (1 - confidence) / 2)
    if beyond is None:
        # So few processes that no answer of theirs would be rare.
        return ratio, 0.0, math.inf
    low, high = float(pairs[beyond]), float(pairs[len(pairs) - 1 - beyond])
    rng = np.random.default_rng(seed)
    estimates = _resampled(sides[0], rng) / _resampled(sides[1], rng)
    ends = _ends(estimates, min(len(one), len(two)), confidence)
    return ratio, min(low, ends[0], ratio), max(high, ends[1], ratio)


def _resampled(processes: Sequence[Values], rng: np.random.Generator) -> Values:
    """(_RESAMPLES,) medians of all blocks of as many processes, drawn whole and with replacement.

    Drawing again within a process would count its runs as if they were independent of each other, and their spread
    twice (Davison and Hinkley 1997, "Bootstrap methods and their application", 3.8).
    """
    count = len(processes)
    values = np.concatenate(processes)
    process_of = np.repeat(np.arange(count), [len(blocks) for blocks in processes])
    order = np.argsort(values, kind="stable")
    values, process_of = values[order], process_of[order]
    estimates = np.empty(_RESAMPLES)
    for number, picks in enumerate(rng.integers(0, count, size=(_RESAMPLES, count))):
        rank = np.cumsum(np.bincount(picks, minlength=count)[process_of])
        estimates[number] = values[np.searchsorted(rank, rank[-1] / 2)]
    return estimates


def _ends(estimates: Values, count: int, confidence: float) -> tuple[float, float]:
    """The interval's ends, widened for a small number of processes as `percentile_interval` does."""
    tail = (
        NormalDist().cdf(-math.sqrt(count / (count - 1)) * student(confidence, count - 1)) if count > 1 else 0
    )
    low, high = np.quantile(estimates, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)


def mann_whitney(this: Sequence[float], other: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test (1947), exact; ties count a half and make it slightly too large.

    Arguments:
        this, other: up to some hundred values each.
    """
    greater = sum((a > b) + (a == b) / 2 for a in this for b in other)
    u = math.floor(min(greater, len(this) * len(other) - greater))
    counts = _u_counts(len(this), len(other))
    return min(1.0, 2 * sum(counts[: u + 1]) / sum(counts))


def least_p(n: int, m: int) -> float:
    """The smallest p that n and m values can give: that of two groups wholly apart."""
    return 2 / math.comb(n + m, n)


def cliffs_delta(this: Sequence[float], other: Sequence[float]) -> float:
    """P(this > other) - P(this < other) over all pairs of runs (Cliff 1993), -1 to 1."""
    one, two = np.sort(this), np.sort(other)
    below = np.searchsorted(two, one, side="left").sum()
    not_above = np.searchsorted(two, one, side="right").sum()
    pairs = len(one) * len(two)
    return float(below - (pairs - not_above)) / pairs


@cache
def _u_counts(n: int, m: int) -> tuple[int, ...]:
    """How many of the orders of n and m values give each U, from 0 to n m.

    The coefficients of the product over i = 1..n of (1 - q^(m + i)) / (1 - q^i), in whole numbers of any size.
    """
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):
            counts[u] += counts[u - i]
    return tuple(counts)


def _most_beyond(n: int, m: int, risk: float) -> int | None:
    """The largest U whose probability, with all below it, is at most `risk`; None where even U = 0 is likelier."""
    counts = _u_counts(n, m)
    allowed, total, below = risk * sum(counts), 0, None
    for u, count in enumerate(counts):
        total += count
        if total > allowed:
            break
        below = u
    return below


def _process_medians(processes: Processes) -> list[float]:
    return [
        float(np.median([value for block in blocks for value in block]))
        for blocks in processes
        if any(blocks)
    ]


def _all(processes: Processes) -> list[float]:
    return [value for blocks in processes for block in blocks for value in block]


def _nothing() -> DataError:
    return DataError(
        "There are no runs to compare.", hint="One of the two was never measured: see its error in the file."
    )
