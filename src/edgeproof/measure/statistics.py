"""What a sample of latencies allows to be said: percentiles, ratios, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import DataError, UsageError

Values = NDArray[np.float64]

_RESAMPLES = 2000


def minimum_runs(percentile: float, confidence: float = 0.99) -> int:
    """The fewest runs from which a percentile may be reported.

    It is the smallest n where, were the true percentile higher than the value reported, at most one of n
    runs would exceed it with a probability of at most 1 - confidence: P[Binomial(n, 1 - percentile) <= 1]
    <= 1 - confidence (MLPerf Inference rules, early stopping, with one query over the latency allowed).

    Arguments:
        percentile: a fraction, 0.99 for p99. Below 0.5 the same holds for the other tail.
        confidence: a fraction.

    Raises:
        UsageError: either is not strictly between 0 and 1.
    """
    _check_fraction("percentile", percentile)
    _check_fraction("confidence", confidence)
    tail = min(percentile, 1.0 - percentile)

    def enough(n: int) -> bool:
        return (1.0 - tail) ** (n - 1) * (1.0 - tail + n * tail) <= 1.0 - confidence

    high = 2
    while not enough(high):
        high *= 2
    low = high // 2  # never enough: at n = 1 the probability is 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def percentile(values: ArrayLike, p: float) -> float | None:
    """The nearest-rank percentile of all values, or None where there are fewer than `minimum_runs(p)`.

    The answer is a value that was measured, never a point between two modes, and no value is left out.

    Arguments:
        values: (n,), in any unit; the answer has the same.
        p: a fraction, 0.99 for p99.

    Raises:
        UsageError: `p` is not strictly between 0 and 1.
        DataError: the values are not one row of finite numbers.
    """
    measured = _row(values)
    if len(measured) < minimum_runs(p):
        return None
    return float(np.quantile(measured, p, method="inverted_cdf"))


def percentile_interval(
    blocks: Sequence[ArrayLike], p: float, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """The confidence interval of a percentile; None where there are fewer than `minimum_runs(p)` values.

    Runs of one block share the process, the clock frequency and the neighbours of that moment, so they say
    less than as many independent runs would. Whole blocks are therefore resampled (Künsch 1989, "The
    jackknife and the bootstrap for general stationary observations"), with the interval widened for their
    small number (Hesterberg 2015, "What teachers should know about the bootstrap", expanded percentiles).
    The distribution-free order-statistic interval (David and Nagaraja, "Order Statistics", 7.1) is its floor:
    dependence between runs can only widen it. With one block it stands alone, and supposes that the runs
    are independent, which they rarely are.

    Five blocks or fewer say little about how much blocks differ; and where they differ as much as the runs
    within one, the far tail rests on the few slowest of them. There the interval is still too narrow (with 20
    blocks, a p95 and twice that difference it held the truth in 4 of 5 simulations, not 19 of 20).

    Arguments:
        blocks: arrays (n_i,), the consecutive runs of one process each, in any unit; `[values]` for one.
        p: a fraction, 0.99 for p99.
        confidence: a fraction.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The lower and upper end, in the unit of the values; infinite where the sample can't bound that side.

    Raises:
        UsageError: `p` or `confidence` is not strictly between 0 and 1.
        DataError: a block is not one row of finite numbers.
    """
    _check_fraction("confidence", confidence)
    rows = [row for row in map(_row, blocks) if len(row)]
    if sum(map(len, rows)) < minimum_runs(p):
        return None
    values = np.concatenate(rows)
    order = np.argsort(values, kind="stable")
    values = values[order]
    low, high = _order_interval(values, p, confidence)
    count = len(rows)
    if count == 1:
        return low, high
    block_of = np.repeat(np.arange(count), [len(row) for row in rows])[order]
    picks = np.random.default_rng(seed).integers(0, count, size=(_RESAMPLES, count))
    estimates = np.empty(_RESAMPLES)
    for i, pick in enumerate(picks):
        # A block drawn twice weighs twice: the same as sorting the resample, without sorting it.
        rank = np.cumsum(np.bincount(pick, minlength=count)[block_of])
        estimates[i] = values[np.searchsorted(rank, p * rank[-1])]
    tail = NormalDist().cdf(-math.sqrt(count / (count - 1)) * student(confidence, count - 1))
    ends = np.quantile(estimates, (tail, 1.0 - tail), method="inverted_cdf")
    return min(low, float(ends[0])), max(high, float(ends[1]))


def ratio_interval(
    a_blocks: Sequence[ArrayLike], b_blocks: Sequence[ArrayLike], confidence: float = 0.95
) -> tuple[float, float, float]:
    """How many times b the typical run of a takes: the ratio, and its confidence interval.

    Each round gives one ratio, of its two medians, in which what the machine did to that round cancels; the
    answer is the median of these, so that one disturbed round can't move it. From 6 rounds on (at 95 %) the
    interval is the exact order-statistic one, which supposes nothing but that rounds are alike. With fewer
    none exists, and it is Student's on the logarithms; with one round it is (0, infinity).

    Arguments:
        a_blocks: one array (n_i,) of latencies for each round.
        b_blocks: the same, `b_blocks[i]` measured in the same round as `a_blocks[i]`, in the same unit.
        confidence: a fraction.

    Returns:
        The ratio, its lower end and its upper end; 0.5 means that a takes half the time of b.

    Raises:
        UsageError: `confidence` is not strictly between 0 and 1.
        DataError: no rounds, not as many of a as of b, or a block without values or with values not above 0.
    """
    _check_fraction("confidence", confidence)
    if len(a_blocks) != len(b_blocks) or not len(a_blocks):
        raise DataError(
            f"{len(a_blocks)} rounds of one and {len(b_blocks)} of the other can't be compared.",
            hint="Measure both in every round, at least once.",
        )
    ratios = np.sort(_medians(a_blocks) / _medians(b_blocks))
    ratio = float(np.median(ratios))
    low, high = _order_interval(ratios, 0.5, confidence)
    if math.isfinite(low) and math.isfinite(high):
        return ratio, low, high
    if len(ratios) == 1:
        return ratio, 0.0, math.inf
    logs = np.log(ratios)
    reach = student(confidence, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    center = float(logs.mean())
    # The mean and the median can differ by more than the reach where the rounds agree but for one.
    return ratio, min(ratio, math.exp(center - reach)), max(ratio, math.exp(center + reach))


def _order_interval(ordered: Values, p: float, confidence: float) -> tuple[float, float]:
    """The narrowest order statistics with at most (1 - confidence) / 2 of risk on each side."""
    n = len(ordered)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    k = np.arange(n + 1)
    log_mass = (
        log_factorial[n] - log_factorial - log_factorial[::-1] + k * math.log(p) + (n - k) * math.log1p(-p)
    )
    mass = np.exp(log_mass)
    risk = (1.0 - confidence) / 2.0
    # The r-th smallest lies above the percentile when fewer than r values lie below it, and the reverse.
    below = int(np.searchsorted(np.cumsum(mass), risk, side="right"))
    above = int(np.searchsorted(np.cumsum(mass[::-1]), risk, side="right"))
    low = float(ordered[below - 1]) if below else -math.inf
    high = float(ordered[n - above]) if above else math.inf
    return low, high


def student(confidence: float, freedom: int) -> float:
    """The two-sided quantile of Student's t, within 1 % at 95 % from 3 degrees of freedom.

    The exact closed forms for 1 and 2; above, Abramowitz and Stegun, "Handbook of Mathematical Functions",
    26.7.5.
    """
    if freedom == 1:
        return math.tan(math.pi * confidence / 2.0)
    if freedom == 2:
        return confidence * math.sqrt(2.0 / (1.0 - confidence * confidence))
    z = -NormalDist().inv_cdf((1.0 - confidence) / 2.0)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _medians(blocks: Sequence[ArrayLike]) -> Values:
    rows = [_row(block) for block in blocks]
    if any(not len(row) or row.min() <= 0.0 for row in rows):
        raise DataError(
            "A block of measurements is empty, or has a latency that is not above 0.",
            hint="Measure that round again; a clock that stands still can't time it.",
        )
    return np.array([np.median(row) for row in rows])


def _row(values: ArrayLike) -> Values:
    try:
        row = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The measurements are not numbers: {error}.", hint="Give one row of numbers."
        ) from error
    if row.ndim != 1 or not np.isfinite(row).all():
        raise DataError(
            f"The measurements, of shape {row.shape}, are not one row of finite numbers.",
            hint="Leave out runs that did not finish, and say how many they were.",
        )
    return row


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise UsageError(
            f"The {name} is {value}.", hint="Give a fraction between 0 and 1: 0.99 for p99 or 99 %."
        )
