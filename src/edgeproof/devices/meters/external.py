"""A meter at the supply, with a clock and a file of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, EdgeproofError, UsageError
from edgeproof.devices.meters.marker import PATTERN, Marker, play_marker
from edgeproof.devices.meters.meter import Energy
from edgeproof.devices.meters.trace import Trace, read_trace

# Steps of the search in each step of the pattern: the marker's place is known to a twentieth of a step.
_GRID = 10
_MOST_POINTS = 10_000_000
# Below the first, the pattern isn't there; a second place nearly as good means that it can't be told which is ours.
_LEAST_CORRELATION = 0.8
_LEAD = 0.1
_FEWEST_READINGS = 10
_LOOK_AGAIN_S = 0.25


class Alignment(NamedTuple):
    """Where the marker was found.

    Attributes:
        offset: what to add to a time of ours to have the trace's, in seconds.
        correlation: how well the trace follows the pattern there, 1 at the best.
    """

    offset: float
    correlation: float


class External:
    """The trace of an external meter, aligned by a marker load that is played before the first start.

    Its clock need not agree with ours: the pattern of load is looked for in the trace. The file may still grow while
    the work is done; where it is written afterwards, `stop()` can't tell the energy yet, and `energy()` does later.

    Arguments:
        csv: the file that the meter's program writes (`read_trace` says in what form).
        chip_s: how long each step of the marker takes, at least twice the meter's interval; it has 17.
        lag_s: how long `stop()` waits for a recording that lags behind.
    """

    name = "external"

    def __init__(self, csv: Path, chip_s: float = 1.0, lag_s: float = 0.0) -> None:
        self._csv, self._chip_s, self._lag_s = csv, chip_s, lag_s
        self.scope = f"what the meter of {csv.name} stands in"
        self.interval_s = chip_s / 2  # at the most
        self._marker: Marker | None = None
        self._began: float | None = None
        self._ended: float | None = None

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        return (
            None if self._csv.is_file() else f"There is no file {self._csv} yet. Start the meter's recording."
        )

    def available(self) -> bool:
        """Whether its file is there."""
        return self.missing() is None

    def start(self) -> None:
        """Begin; the first time, play the marker before."""
        if self._marker is None:
            self._marker = play_marker(self._chip_s)
        self._began, self._ended = time.perf_counter(), None

    def stop(self) -> Energy:
        """End, and say what the trace tells by now.

        Raises:
            UsageError: it was not started.
        """
        if self._began is None:
            raise UsageError("The external meter was not started.", hint="Call start() first.")
        self._ended = time.perf_counter()
        while (found := self.energy()).joules is None and time.perf_counter() < self._ended + self._lag_s:
            time.sleep(_LOOK_AGAIN_S)
        return found

    def energy(self) -> Energy:
        """What the trace tells of the last run; its `reason` says why where it doesn't.

        Raises:
            UsageError: no run was measured.
        """
        if self._marker is None or self._began is None or self._ended is None:
            raise UsageError("No run was measured.", hint="Call start() and stop() first.")
        try:
            trace = read_trace(self._csv)
            found = align(trace, self._marker)
            return energy_between(trace, self._began + found.offset, self._ended + found.offset)
        except EdgeproofError as error:
            return Energy(None, self._ended - self._began, 0, None, str(error))


def align(trace: Trace, marker: Marker) -> Alignment:
    """Find a marker in a trace, by the correlation of the pattern with the power.

    Raises:
        DataError: the trace is too coarse or too short, or the pattern isn't in it, or not in one place only.
    """
    chip, step = marker.chip_s, marker.chip_s / _GRID
    seconds, joules = _cumulative(trace)
    length = len(PATTERN) * _GRID
    points = int((seconds[-1] - seconds[0]) / step) if len(seconds) > 1 else 0
    if points < length:
        raise DataError(
            "The trace is shorter than the marker.",
            hint="Record from before the marker to the end of the run.",
        )
    if points > _MOST_POINTS:
        raise DataError("The trace is too long to search.", hint="Cut out the time of the measurement.")
    if float(np.median(np.diff(seconds))) > chip / 2:
        raise DataError(
            f"The meter is too slow for a marker of {chip:g} s steps.",
            hint=f"Use steps of {2 * float(np.median(np.diff(seconds))):g} s or more.",
        )
    edges = seconds[0] + step * np.arange(points + 1)
    power = np.diff(np.interp(edges, seconds, joules)) / step
    correlation = _sliding_correlation(power, np.repeat(np.asarray(PATTERN, np.float64), _GRID))
    best = int(correlation.argmax())
    others = correlation.copy()
    others[max(0, best - length) : best + length] = -1
    if correlation[best] < _LEAST_CORRELATION:
        raise DataError(
            f"The marker isn't in the trace (the likest place agrees by {correlation[best]:.2f}).",
            hint="Was the meter recording while the marker was played, and the machine at rest beside it?",
        )
    if others.max() > correlation[best] - _LEAD:
        raise DataError(
            "There are several markers in the trace.", hint="Record each measurement into its own file."
        )
    return Alignment(float(edges[best]) - marker.began, float(correlation[best]))


def energy_between(trace: Trace, began: float, ended: float) -> Energy:
    """The energy between two times of the trace's clock, by the trapezoid rule."""
    seconds, joules = _cumulative(trace)
    inside = int(((seconds >= began) & (seconds <= ended)).sum())
    rate = inside / (ended - began) if inside else None
    why = None
    if not len(seconds) or seconds[0] > began or seconds[-1] < ended:
        why = "The trace doesn't cover the run. Save it to its end, then ask again."
    elif inside < _FEWEST_READINGS:
        why = f"The run was too short for this meter: {inside} readings, and {_FEWEST_READINGS} are needed."
    total = None if why else float(np.diff(np.interp([began, ended], seconds, joules))[0])
    return Energy(total, ended - began, inside, rate, why)


def _cumulative(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times, and the energy from the first of them up to each."""
    seconds, watts = np.asarray(trace.seconds, np.float64), np.asarray(trace.watts, np.float64)
    steps = np.diff(seconds) * (watts[1:] + watts[:-1]) / 2
    return seconds, np.concatenate([np.zeros(min(1, len(seconds))), np.cumsum(steps)])


def _sliding_correlation(values: NDArray[np.float64], pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of a pattern with each stretch of its length; 0 where the values don't change."""
    centred = pattern - pattern.mean()
    length = len(pattern)
    values = values - values.mean()
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values * values)])
    around = squares[length:] - squares[:-length] - (sums[length:] - sums[:-length]) ** 2 / length
    spread = np.sqrt(np.maximum(around, 0) * (centred @ centred))
    matched = np.correlate(values, centred, "valid")
    flat = spread <= 1e-9 * np.abs(matched).max()
    return np.where(flat, 0.0, matched / np.where(flat, 1.0, spread))
