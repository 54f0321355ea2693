"""Slow runs that come back at a fixed interval: a garbage collector, a timer, a writer of logs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.measure.statistics import Values

_SLOW = 2.0  # times the median: what counts as a slow run
_MOST_SLOW = 0.25  # share of the runs; more slow ones are another mode, not stalls
_FEWEST_CYCLES = 12
_CHANCE = 1e-3
_HITS = 0.85  # share of the cycles that have a stall where it is due
_ON_BEAT = 0.4  # share of the slow runs that come where one is due; a fifth does by chance
_NEAR = 0.1  # of a cycle


@dataclass(frozen=True)
class Stalls:
    """Slow runs at a fixed interval.

    Attributes:
        every: the interval, in runs or in seconds.
        unit: "runs" or "seconds".
        times: how many times the median the typical stall takes.
        share: of all runs.
    """

    every: float
    unit: str
    times: float
    share: float


def find_stalls(values: Values) -> Stalls | None:
    """Slow runs that come back at a fixed number of runs, or after a fixed time; None where none do.

    The Rayleigh test for a periodic point process: the power of the slow runs at each frequency, whose chance to
    exceed z is exp(-z) where they come at random (Mardia and Jupp 2000, 5.3; de Jager, Raubenheimer and Swanepoel
    1989), times the number of frequencies looked at. Slow runs that come in bursts break that chance, so most
    cycles must also have one where it is due.

    Arguments:
        values: (n,) latencies in ms, one after another.
    """
    if len(values) < 2 * _FEWEST_CYCLES:
        return None
    typical = float(np.median(values))
    slow = np.flatnonzero(values > _SLOW * typical)
    if not 0 < len(slow) <= _MOST_SLOW * len(values):
        return None
    onsets = slow[np.concatenate(([True], np.diff(slow) > 2))]
    if len(onsets) < _FEWEST_CYCLES:
        return None
    times = float(np.median(values[slow])) / typical
    share = len(slow) / len(values)
    starts = (
        np.cumsum(values) - values
    ) / typical  # in typical runs: about as fine a grid as that of the runs
    for places, span, scale, unit in (
        (onsets, float(len(values)), 1.0, "runs"),
        (starts[onsets], float(starts[-1] + 1), typical / 1e3, "seconds"),
    ):
        every = _period(places.astype(np.float64), span)
        if every is not None:
            return Stalls(every * scale, unit, times, share)
    return None


def _period(places: Values, span: float) -> float | None:
    power, step = _power(places, span)
    low, high = math.ceil(_FEWEST_CYCLES / span / step), len(power) // 2  # from four units of the grid on
    if high <= low + 8:
        return None
    best = float(power[low:high].max())
    looked_at = span / 4
    if looked_at * math.exp(-min(best, 700.0)) > _CHANCE / 2:  # two grids are tried
        return None
    # Multiples of the frequency are about as strong: the lowest is the interval itself.
    first = low + int(np.argmax(power[low:high] >= 0.5 * best))
    peak = first + int(np.argmax(power[first : first + 9]))
    # Between the steps of frequency, for the phase to be the same from the first cycle to the last.
    near = (peak + np.linspace(-1, 1, 41)) * step
    turns = np.exp(2j * np.pi * np.outer(near, places)).sum(axis=1)
    finest = int(np.argmax(np.abs(turns)))
    phase = float(np.angle(turns[finest])) / (2 * np.pi)
    period = 1 / float(near[finest])
    return period if _is_kept(places, span, period, phase) else None


def _power(places: Values, span: float) -> tuple[Values, float]:
    """|sum exp(2 pi i f t)|^2 / count of the events, from frequency 0 to a half, and the step of frequency."""
    grid = np.zeros(math.ceil(span))
    np.add.at(grid, np.minimum(places.astype(np.int64), len(grid) - 1), 1.0)
    length = 1 << math.ceil(
        math.log2(4 * len(grid))
    )  # padded: between the natural frequencies power gets lost
    transformed: NDArray[np.complex128] = np.fft.rfft(grid, length)
    power: Values = np.abs(transformed) ** 2 / len(places)
    return power, 1 / length


def _is_kept(places: Values, span: float, period: float, phase: float) -> bool:
    """Whether most cycles have an event where it is due; those in between don't count."""
    cycles = places / period - phase
    due = np.round(cycles)
    near = np.abs(cycles - due) <= _NEAR
    return bool(near.mean() >= _ON_BEAT and len(np.unique(due[near])) >= _HITS * (span / period - 1))
