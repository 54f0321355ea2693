"""What a series of latencies shows beside its percentiles: drift, steps, stalls, modes, warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgeproof.core.errors import DataError
from edgeproof.measure.change import Step, find_step
from edgeproof.measure.modes import Modes, find_modes
from edgeproof.measure.stalls import Stalls, find_stalls
from edgeproof.measure.statistics import Values
from edgeproof.measure.steady import steady_from
from edgeproof.measure.trend import binned, mann_kendall, slope_interval

_FEWEST = 60
_CHANCE = 0.002  # of a false alarm of each test; the smallest change below makes it rarer
_LONGEST_WARM_UP = 0.25
SMALLEST_CHANGE = 0.04  # of the level: less is real now and then, and nobody's trouble


@dataclass(frozen=True)
class Drift:
    """A level that moves steadily.

    Attributes:
        total: over the whole series, as a fraction of its median; 0.1 is 10 % slower at the end.
        ci: its 95 % interval.
        p: of the Mann-Kendall test.
    """

    total: float
    ci: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Shape:
    """What a series of latencies shows; None for what it doesn't.

    Attributes:
        steady_from: index of the first run after the warm-up; None where it never settles.
        drift, step: at most one of them: whichever describes the series better.
    """

    runs: int
    steady_from: int | None
    drift: Drift | None
    step: Step | None
    stalls: Stalls | None
    modes: Modes | None

    def as_json(self) -> dict[str, Any]:
        """For the documents of `bench --soak` and `diagnose`."""
        return {
            "runs": self.runs,
            "steady_from_run": self.steady_from,
            "drift": self.drift and {"total": self.drift.total, "ci": list(self.drift.ci), "p": self.drift.p},
            "step": self.step
            and {
                "run": self.step.at,
                "before_ms": self.step.before,
                "after_ms": self.step.after,
                "p": self.step.p,
            },
            "stalls": self.stalls
            and {
                "every": self.stalls.every,
                "unit": self.stalls.unit,
                "times": self.stalls.times,
                "share": self.stalls.share,
            },
            "modes": self.modes
            and {
                "low_ms": self.modes.low,
                "high_ms": self.modes.high,
                "share_high": self.modes.share_high,
            },
        }


def describe(latencies_ms: ArrayLike, seed: int = 0) -> Shape:
    """Say what a series of latencies shows.

    Arguments:
        latencies_ms: (n,) of one process, in the order they were measured; fewer than 60 show nothing.
        seed: of the permutations and resamples; the same seed gives the same answer.

    Raises:
        DataError: a latency is not a finite number above 0.
    """
    values = np.asarray(latencies_ms, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (len(values) and values.min() <= 0):
        raise DataError(
            "The latencies are not one row of finite numbers above 0.",
            hint="Leave out runs that did not finish.",
        )
    if len(values) < _FEWEST:
        return Shape(len(values), None, None, None, None, None)
    steady = _warm_up(values)
    settled = values[steady or 0 :]
    step = find_step(settled, seed)
    step_seen = step.p <= _CHANCE and abs(step.ratio - 1) >= SMALLEST_CHANGE
    drift = find_drift(settled, seed)
    if step_seen and drift is not None:
        step_seen, drift = (True, None) if step.sharp else (False, drift)
    level = _level(settled, step if step_seen else None, drift)
    shifted = Step(step.at + (steady or 0), step.before, step.after, step.p, step.sharp)
    return Shape(
        len(values),
        steady,
        drift,
        shifted if step_seen else None,
        find_stalls(settled / level * float(np.median(settled))),
        find_modes(settled / level * float(np.median(settled))),
    )


def _warm_up(values: Values) -> int | None:
    """`steady_from`, where what comes before it is slower and no longer than a quarter: the rest is no warm-up."""
    found = steady_from(values)
    if found is None or found > _LONGEST_WARM_UP * len(values):
        return None if found is None else 0
    return found if found and np.median(values[:found]) > np.median(values[found:]) else 0


def find_drift(values: Values, seed: int = 0) -> Drift | None:
    """A monotonic trend that is significant and large enough to matter, or None.

    Mann-Kendall corrected for autocorrelation (`trend.mann_kendall`) at 0.2 %, and the Theil-Sen line's change over
    the series of `SMALLEST_CHANGE` or more, with an interval that leaves out 0.
    """
    found = mann_kendall(values)
    if found.p > _CHANCE:
        return None
    x, y = binned(np.arange(len(values), dtype=np.float64), values)
    slope = slope_interval(x, y, seed=seed)
    scale = len(values) / float(np.median(values))
    if abs(slope.value * scale) < SMALLEST_CHANGE or slope.low <= 0 <= slope.high:
        return None
    return Drift(slope.value * scale, (slope.low * scale, slope.high * scale), found.p)


def _level(values: Values, step: Step | None, drift: Drift | None) -> Values:
    """The moving level that was found, so that what it does is not found again as something else."""
    count = np.arange(len(values), dtype=np.float64)
    if step is not None:
        return np.where(count < step.at, step.before, step.after)
    if drift is not None:
        middle = float(np.median(values))
        line: Values = middle * (1 + drift.total * (count / len(values) - 0.5))
        return np.maximum(line, 0.1 * middle)
    return np.full(len(values), float(np.median(values)))
