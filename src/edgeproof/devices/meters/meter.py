"""What every meter of power or energy offers, and what it measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

# A run of so many intervals has the readings that make a measurement, and a few to spare.
ENOUGH_INTERVALS = 12


class Energy(msgspec.Struct, frozen=True):
    """What a meter saw between its start and its stop.

    Attributes:
        joules: the energy; None where it isn't known, never 0 for that.
        seconds: from start to stop.
        samples: how many readings were taken.
        rate_hz: new values a second: readings of a power meter, updates of a counter; None where there is none.
        reason: why joules is None.
        estimated: the figure comes from a stated wattage; nothing was measured.
    """

    joules: float | None
    seconds: float
    samples: int
    rate_hz: float | None
    reason: str | None = None
    estimated: bool = False

    @property
    def watts(self) -> float | None:
        """The mean power."""
        return self.joules / self.seconds if self.joules is not None and self.seconds > 0 else None

    def above_idle(self, idle: float | None) -> float | None:
        """The joules beyond what the machine takes at rest, `idle` watts; None where either is unknown.

        A run that takes no more than the rest comes out around 0, and may come out below it.
        """
        return None if self.joules is None or idle is None else self.joules - idle * self.seconds


class Meter(Protocol):
    """One source of energy figures; `start()`, the work, `stop()`.

    Attributes:
        name: short, and the same in code, tables and JSON.
        scope: what the figure covers, in words.
        interval_s: how often the meter has a new value, in seconds.
    """

    @property
    def name(self) -> str: ...

    @property
    def scope(self) -> str: ...

    @property
    def interval_s(self) -> float: ...

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        ...

    def available(self) -> bool:
        """Whether it can be read now."""
        ...

    def start(self) -> None:
        """Begin; what was measured before is forgotten."""
        ...

    def stop(self) -> Energy:
        """End, and say what was measured."""
        ...


def idle_watts(
    meter: Meter, seconds: float = 5.0, *, sleep: Callable[[float], None] = time.sleep
) -> float | None:
    """The mean power while this program does nothing; None where the meter can't tell.

    Whatever else the machine does meanwhile is in it: the checks of `edgeproof device` tell of other load.

    Arguments:
        meter: one that is not measuring now.
        seconds: how long; longer where the meter needs that for enough readings.
        sleep: what waits; a fake in tests.
    """
    enough = ENOUGH_INTERVALS * meter.interval_s
    meter.start()
    sleep(max(seconds, enough if math.isfinite(enough) else 0))
    return meter.stop().watts
