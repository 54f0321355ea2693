"""The machine's clock, temperatures and counts of throttling, read again and again beside a measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.frequency import frequency_policies
from edgeproof.devices.thermal import thermal_zones
from edgeproof.devices.throttling import raspberry_throttling, throttle_counts
from edgeproof.measure.statistics import Values
from edgeproof.measure.throttle import Sensors

_FOR_HEAT = {"frequency capped", "throttled", "soft temperature limit"}


class SensorLog:
    """What was read so far; a machine without sensors gives empty series.

    Arguments:
        root: stands for `/`; a made-up tree in tests.
        runner: runs `vcgencmd`; a fake in tests.
    """

    def __init__(self, root: Path = Path("/"), runner: Runner = run_command) -> None:
        self._root, self._runner = root, runner
        self._mhz: list[float | None] = []
        self._throttled: list[float | None] = []
        self._celsius: list[dict[str, float]] = []
        self._trips: dict[str, float] = {}
        self._flagged = 0

    def read(self) -> None:
        """Read everything once."""
        clocks = [policy.current_mhz for policy in frequency_policies(self._root) if policy.current_mhz]
        self._mhz.append(sum(clocks) / len(clocks) if clocks else None)
        zones = {f"{zone.name} ({i})": zone for i, zone in enumerate(thermal_zones(self._root))}
        self._celsius.append({name: zone.celsius for name, zone in zones.items() if zone.celsius is not None})
        self._trips |= {
            name: zone.limit_celsius for name, zone in zones.items() if zone.limit_celsius is not None
        }
        self._throttled.append(self._count())

    def _count(self) -> float | None:
        counts = throttle_counts(self._root)
        known = [count for count in (counts.core, counts.package) if count is not None]
        pi = raspberry_throttling(self._runner)
        if pi is not None:  # it tells only whether, not how often: each reading that says so counts
            self._flagged += bool(_FOR_HEAT & set(pi.now))
            known.append(self._flagged)
        return float(max(known)) if known else None

    def sensors(self) -> Sensors:
        """All of it; a series with a gap is left out."""
        names = set.intersection(*map(set, self._celsius)) if self._celsius else set()
        return Sensors(
            mhz=_whole(self._mhz),
            celsius={name: np.array([read[name] for read in self._celsius]) for name in sorted(names)},
            trips=dict(self._trips),
            throttled=_whole(self._throttled),
        )

    def summary(self) -> dict[str, object]:
        """The range of each, for people and documents; None where it was not measured."""
        seen = self.sensors()
        return {
            "mhz": _range(seen.mhz),
            "celsius": {name: _range(values) for name, values in seen.celsius.items()} or None,
            "limit_celsius": dict(self._trips) or None,
            "throttle_events": float(seen.throttled[-1] - seen.throttled[0]) if len(seen.throttled) else None,
        }


def _whole(read: list[float | None]) -> Values:
    known = [value for value in read if value is not None]
    return np.array(known if len(known) == len(read) else [], dtype=np.float64)


def _range(values: Values) -> list[float] | None:
    return [float(values.min()), float(values.max())] if len(values) else None
