"""Whether memory grows without end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from edgeproof.measure.statistics import Values
from edgeproof.measure.steady import steady_from
from edgeproof.measure.trend import Slope, slope_interval

MOST_MB_A_DAY = 50.0  # a device of 512 MB that is restarted once a week still lives
_WARM_UP = 0.2  # of the first run, discarded where memory has no steady part
_KEEPS_GROWING = 0.4  # of the first run's slope: an allocator that settles keeps less
_FEWEST = 20
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Growth:
    """How memory grew after the warm-up.

    Attributes:
        verdict: "steady", "growing" (a longer run has to show whether it goes on), "leak", "settles" (it grew, and
            then did not: an allocator's plateau) or "not measured".
        mb_per_hour, ci: the Theil-Sen slope and its 95 % interval; None where it was not measured.
        warm_up_s: what was discarded.
        limit_mb_per_day: growth below it is no leak.
    """

    verdict: str
    mb_per_hour: float | None
    ci: tuple[float, float] | None
    warm_up_s: float | None
    limit_mb_per_day: float

    def as_json(self) -> dict[str, object]:
        """For the documents of `bench --soak` and `diagnose`."""
        return {
            "verdict": self.verdict,
            "mb_per_hour": self.mb_per_hour,
            "ci": list(self.ci) if self.ci else None,
            "warm_up_s": self.warm_up_s,
            "limit_mb_per_day": self.limit_mb_per_day,
        }


def growth(
    seconds: Values, memory_mb: Values, *, most_mb_per_day: float = MOST_MB_A_DAY, seed: int = 0
) -> Growth:
    """Look at the first run: "growing" where the slope's lower end is above 0 and a day of it passes the limit.

    Arguments:
        seconds: (n,) rising. memory_mb: (n,) resident or proportional memory in 10^6 bytes.
        most_mb_per_day: growth that is accepted.
    """
    if len(seconds) < _FEWEST or seconds[-1] <= seconds[0]:
        return Growth("not measured", None, None, None, most_mb_per_day)
    start = _warm_up(memory_mb)
    slope = slope_interval(seconds[start:], memory_mb[start:], seed=seed)
    verdict = "growing" if _passes(slope, most_mb_per_day) else "steady"
    return _growth(verdict, slope, float(seconds[start] - seconds[0]), most_mb_per_day)


def confirmed(
    seconds: Values, memory_mb: Values, *, most_mb_per_day: float = MOST_MB_A_DAY, seed: int = 0
) -> Growth:
    """Look at a doubled run: "leak" only where its second half grows like its first.

    The second half must pass on its own what the first did, keep `_KEEPS_GROWING` of its slope, and grow in every
    fifth of it, as the first in every quarter: memory that an allocator takes in a few large steps does not.

    Arguments:
        seconds, memory_mb: as for `growth`; the whole of twice its time.
    """
    half = int(np.searchsorted(seconds, (seconds[0] + seconds[-1]) / 2)) if len(seconds) else 0
    first = growth(seconds[:half], memory_mb[:half], most_mb_per_day=most_mb_per_day, seed=seed)
    if first.verdict != "growing" or len(seconds) - half < _FEWEST or first.mb_per_hour is None:
        return first
    slope = slope_interval(seconds[half:], memory_mb[half:], seed=seed + 1)
    goes_on = (
        _passes(slope, most_mb_per_day)
        and slope.value * 3600 >= _KEEPS_GROWING * first.mb_per_hour
        and _rises_all_along(memory_mb[_warm_up(memory_mb[:half]) : half], 4)
        and _rises_all_along(memory_mb[half:], 5)
    )
    return _growth("leak" if goes_on else "settles", slope, first.warm_up_s, most_mb_per_day)


def _rises_all_along(memory_mb: Values, parts: int) -> bool:
    levels = [float(np.median(part)) for part in np.array_split(memory_mb, parts)]
    rise = (levels[-1] - levels[0]) / (parts - 1)
    return all(b - a > 0.25 * rise for a, b in itertools.pairwise(levels))


def _warm_up(memory_mb: Values) -> int:
    found = steady_from(memory_mb)
    share = int(_WARM_UP * len(memory_mb))
    return share if found is None else max(found, share // 2)


def _passes(slope: Slope, most_mb_per_day: float) -> bool:
    return slope.low > 0 and slope.value * _DAY_S > most_mb_per_day


def _growth(verdict: str, slope: Slope, warm_up_s: float | None, limit: float) -> Growth:
    return Growth(verdict, slope.value * 3600, (slope.low * 3600, slope.high * 3600), warm_up_s, limit)
