"""Whether a series rises or falls, and how fast, when its values hang together."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from edgeproof.measure.statistics import Values

MOST_POINTS = (
    120  # bins: pairs grow with the square, and medians of bins hang together less than single values
)
_SLOPE_POINTS = 60  # as many as the interval needs; it costs the resamples times the square
_RESAMPLES = 300


@dataclass(frozen=True)
class Slope:
    """A rate of change with its confidence interval, in units of y for each unit of x."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """A monotonic trend: Kendall's tau, and how probable it would be without any."""

    tau: float
    p: float


def binned(x: Values, y: Values, most: int = MOST_POINTS) -> tuple[Values, Values]:
    """Medians of at most `most` bins of equally many consecutive points; fewer points stay as they are."""
    if len(y) <= most:
        return x, y
    edges = np.linspace(0, len(y), most + 1).astype(int)
    pairs = list(itertools.pairwise(edges))
    return (
        np.array([np.median(x[a:b]) for a, b in pairs]),
        np.array([np.median(y[a:b]) for a, b in pairs]),
    )


def theil_sen(x: Values, y: Values) -> float:
    """The median of the slopes of all pairs of points (Sen 1968), which 29 % of wild values can't move."""
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    apart = run > 0
    return float(np.median((y[second] - y[first])[apart] / run[apart])) if apart.any() else 0.0


def slope_interval(x: Values, y: Values, confidence: float = 0.95, seed: int = 0) -> Slope:
    """The Theil-Sen slope with a block-bootstrap interval.

    Blocks of the residuals are resampled round a circle (Politis and Romano 1992), long enough to keep how
    neighbours hang together (`block_length`). The interval is widened for the small number of blocks, as in
    `statistics.percentile_interval`.

    Where values hang together it is still a little too narrow: of 300 simulated series of 200 values it held the truth
    in 94 % for independent ones, in 90 % at an autocorrelation of 0.5, and in 87 % at 0.8.

    Arguments:
        x: (n,) rising, such as seconds. y: (n,) measured at each; n of 3 or more, binned to 60.
    """
    x, y = binned(x, y, _SLOPE_POINTS)
    n = len(x)
    slope = theil_sen(x, y)
    rest = y - slope * x
    rest -= np.median(rest)
    length = block_length(rest)
    blocks = max(2, math.ceil(n / length))
    random = np.random.default_rng(seed)
    starts = random.integers(0, n, size=(_RESAMPLES, math.ceil(n / length)))
    index = ((starts[:, :, None] + np.arange(length)) % n).reshape(_RESAMPLES, -1)[:, :n]
    noise = rest[index]
    first, second = np.triu_indices(n, 1)
    run = x[second] - x[first]
    apart = run > 0
    first, second, run = first[apart], second[apart], run[apart]
    slopes = (noise[:, second] - noise[:, first]) / run
    middle = len(run) // 2
    errors = np.partition(slopes, middle, axis=1)[:, middle]
    widen = math.sqrt(blocks / (blocks - 1)) * math.sqrt(n / max(1, n - 2))
    tail = NormalDist().cdf(NormalDist().inv_cdf((1 - confidence) / 2) * widen)
    low, high = np.quantile(errors, (tail, 1 - tail))
    # The basic interval: what the estimate misses the truth by is what resamples miss the estimate by.
    return Slope(slope, slope - float(high), slope - float(low))


def block_length(rest: Values) -> int:
    """How many consecutive values to keep together when resampling.

    The rule for a first-order autoregression (Carlstein 1986): n^(1/3) (2r / (1 - r^2))^(2/3) with r the lag-one
    autocorrelation, r of at most 0.97; at least 1 and at most a quarter of the values.
    """
    n = len(rest)
    r = min(0.97, autocorrelation(rest, 1))
    if r <= 0:
        return 1
    return int(np.clip(math.ceil(n ** (1 / 3) * (2 * r / (1 - r * r)) ** (2 / 3)), 1, max(1, n // 4)))


def autocorrelation(values: Values, lag: int) -> float:
    """How alike values `lag` apart are, -1 to 1; 0 where all values are the same."""
    centred = values - values.mean()
    total = float(centred @ centred)
    return float(centred[lag:] @ centred[:-lag]) / total if total > 0 and lag < len(values) else 0.0


def mann_kendall(values: Values) -> Trend:
    """The Mann-Kendall test for a monotonic trend, corrected for autocorrelation.

    The variance of S is multiplied by the factor of Hamed and Rao (1998, "A modified Mann-Kendall trend test for
    autocorrelated data"), from the autocorrelation of the ranks with the Theil-Sen line taken out; only lags where
    it is significant at 5 % count, and the factor never makes the test sharper than for independent values.

    Arguments:
        values: (n,) in order, evenly spaced; binned to `MOST_POINTS`.
    """
    x, y = binned(np.arange(len(values), dtype=np.float64), values)
    n = len(y)
    if n < 4:
        return Trend(0.0, 1.0)
    first, second = np.triu_indices(n, 1)
    s = float(np.sign(y[second] - y[first]).sum())
    _, ties = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if variance <= 0:
        return Trend(0.0, 1.0)
    ranks = ranks_of(y - theil_sen(x, y) * x)
    significant = 1.96 / math.sqrt(n)
    total = 0.0
    for lag in range(1, n - 3):
        rho = autocorrelation(ranks, lag)
        if abs(rho) > significant:
            total += (n - lag) * (n - lag - 1) * (n - lag - 2) * rho
    variance *= max(1.0, 1 + 2 * total / (n * (n - 1) * (n - 2)))
    z = (s - math.copysign(1, s)) / math.sqrt(variance) if s else 0.0
    return Trend(s / (n * (n - 1) / 2), 2 * NormalDist().cdf(-abs(z)))


def ranks_of(values: Values) -> Values:
    """Ranks from 1; equal values share the middle of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Values = (ends - (counts - 1) / 2).astype(np.float64)
    return middle[inverse]
