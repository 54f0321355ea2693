"""RAPL: the energy counters that Intel and AMD processors keep of themselves."""

from __future__ import annotations

import time
from pathlib import Path

from edgeproof.core.errors import UsageError
from edgeproof.devices.meters.meter import Energy
from edgeproof.devices.meters.sampling import Ticker
from edgeproof.devices.sysfs import read_int, read_text

# A 32-bit counter of a 500 W server wraps in about two minutes: looking twice in that time misses no wrap.
_LOOK_EVERY_S = 30.0


class Rapl:
    """The sum of the processor packages, from counters that the processor updates about 1,000 times a second.

    Only the zones called package-N count: core, uncore and psys are parts of them or hold them, and the twin zones of
    intel-rapl-mmio are the same counters once more.
    Source: Documentation/power/powercap/powercap.rst; Intel SDM volume 3B, "RAPL Interfaces".
    """

    name = "rapl"
    interval_s = 0.001

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        self._zones = [zone for zone in zones if (read_text(zone / "name") or "").startswith("package")]
        self.scope = (
            "processor package" if len(self._zones) == 1 else f"{len(self._zones)} processor packages"
        )
        self._ticker: Ticker | None = None

    def present(self) -> bool:
        """Whether the processor has such counters and the kernel shows them."""
        return bool(self._zones)

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        if not self._zones:
            return "This machine shows no RAPL counters (on Intel and AMD processors: sudo modprobe intel_rapl_msr)."
        if None in self._counters():
            return (
                "Only root may read it. To let everybody, until the next start: "
                "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
            )
        return None

    def available(self) -> bool:
        """Whether it can be read now."""
        return self.missing() is None

    def start(self) -> None:
        """Begin; what was measured before is forgotten."""
        if self._ticker is not None:
            self._ticker.stop()
        self._microjoules: int | None = 0
        self._readings = 1
        self._last, self._began = self._counters(), time.perf_counter()
        self._ticker = Ticker(self._look, _LOOK_EVERY_S)

    def stop(self) -> Energy:
        """End, and say what was measured.

        Raises:
            UsageError: it was not started.
        """
        if self._ticker is None:
            raise UsageError("The meter rapl was not started.", hint="Call start() first.")
        self._ticker.stop()
        self._ticker = None
        self._look()
        seconds = time.perf_counter() - self._began
        why, joules = None, None
        if self._microjoules is None:
            why = "A counter can't be read any more, or went backwards."
        elif self._microjoules == 0:
            why = "The counters stand still, as those of some virtual machines do."
        else:
            joules = self._microjoules / 1e6
        return Energy(joules, seconds, self._readings, 1 / self.interval_s, why)

    def _look(self) -> None:
        now = self._counters()
        for zone, before, after in zip(self._zones, self._last, now, strict=True):
            step = _step(before, after, read_int(zone / "max_energy_range_uj"))
            if self._microjoules is not None:
                self._microjoules = None if step is None else self._microjoules + step
        self._last = now
        self._readings += 1

    def _counters(self) -> list[int | None]:
        return [read_int(zone / "energy_uj") for zone in self._zones]


def _step(before: int | None, after: int | None, largest: int | None) -> int | None:
    """How far a counter went on that starts again from 0 after `largest`; None where that can't be told."""
    if before is None or after is None or after < 0 or before < 0:
        return None
    if after >= before:
        return after - before
    return None if largest is None or before > largest else largest - before + after
