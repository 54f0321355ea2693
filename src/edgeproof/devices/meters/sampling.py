"""Energy from readings of power: a thread that reads at the meter's own pace, and the trapezoid rule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgeproof.core.errors import UsageError
from edgeproof.devices.meters.meter import Energy

# Fewer readings than this are a glance, not a measurement: two of them would tell the power at start and stop only.
_FEWEST_READINGS = 10
# A reading that fails now and then is bridged by its neighbours.
_MOST_FAILED = 0.01


class Ticker:
    """A thread that calls `tick` every `interval_s` seconds until it is stopped.

    Arguments:
        tick: must not raise.
    """

    def __init__(self, tick: Callable[[], None], interval_s: float) -> None:
        self._tick, self._interval_s = tick, interval_s
        self._ended = threading.Event()
        # A daemon: a program that forgets to stop its meter still ends.
        self._thread = threading.Thread(target=self._run, name="edgeproof-meter", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._tick()

    def stop(self) -> None:
        """End the thread, and wait until it has."""
        self._ended.set()
        self._thread.join()


class Integral:
    """The energy under readings of power, by the trapezoid rule; nothing is kept but the sums."""

    def __init__(self) -> None:
        self.joules, self.readings, self.failed = 0.0, 0, 0
        self._first: float | None = None
        self._last: tuple[float, float] | None = None

    def add(self, seconds: float, watts: float | None) -> None:
        """One reading, in watts, at a time of any clock; None where it failed."""
        if watts is None:
            self.failed += 1
            return
        if self._last is not None:
            before, power = self._last
            self.joules += (seconds - before) * (watts + power) / 2
        self._first = seconds if self._first is None else self._first
        self._last = (seconds, watts)
        self.readings += 1

    def energy(self, seconds: float) -> Energy:
        """What the readings tell of a run of `seconds`; the ends between no two readings take the mean power."""
        rate = self.readings / seconds if seconds > 0 and self.readings else None
        span = self._last[0] - self._first if self._last is not None and self._first is not None else 0.0
        why = None
        if not self.readings:
            why = "The meter gave no reading."
        elif self.failed > _MOST_FAILED * (self.readings + self.failed):
            why = f"{self.failed} of {self.readings + self.failed} readings failed."
        elif self.readings < _FEWEST_READINGS or span <= 0:
            why = f"The run was too short for this meter: {self.readings} readings, and {_FEWEST_READINGS} are needed."
        joules = None if why else self.joules * seconds / span
        return Energy(joules, seconds, self.readings, rate, why)


class SampledMeter:
    """A meter that tells the power of the moment: the parts that all of these share.

    A new one gives `name`, `scope`, `interval_s`, `missing()` and `watts()`.
    """

    name: str
    scope: str
    interval_s: float
    _ticker: Ticker | None = None

    def watts(self) -> float | None:
        """The power now; None where the reading fails."""
        raise NotImplementedError

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        raise NotImplementedError

    def available(self) -> bool:
        """Whether it can be read now."""
        return self.missing() is None

    def start(self) -> None:
        """Begin to read, in a thread; what was measured before is forgotten."""
        if self._ticker is not None:
            self._ticker.stop()
        self._integral, self._began = Integral(), time.perf_counter()
        self._read()
        self._ticker = Ticker(self._read, self.interval_s)

    def stop(self) -> Energy:
        """End, and say what was measured.

        Raises:
            UsageError: it was not started.
        """
        if self._ticker is None:
            raise UsageError(f"The meter {self.name} was not started.", hint="Call start() first.")
        self._ticker.stop()
        self._ticker = None
        self._read()
        return self._integral.energy(time.perf_counter() - self._began)

    def _read(self) -> None:
        # The value belongs to the middle of the time that reading took: asking a program takes milliseconds.
        before = time.perf_counter()
        watts = self.watts()
        self._integral.add((before + time.perf_counter()) / 2, watts)
