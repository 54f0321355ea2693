"""The temperatures that a machine shows, and those at which it slows down or stops."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeproof.devices.sysfs import read_int, read_text

# What a sensor that is switched off reads (-256 on a Jetson, -274 elsewhere), and what an unset trip point holds.
_PLAUSIBLE = (-55.0, 200.0)
# At these the kernel slows the machine down or stops it; `active` ones start a fan.
_LIMITS = ("passive", "hot", "critical")


class TripPoint(msgspec.Struct, frozen=True):
    """A temperature at which the kernel acts.

    Attributes:
        kind: active (a fan starts), passive (the clock goes down), hot or critical (the machine stops).
        celsius: degrees.
    """

    kind: str
    celsius: float


class ThermalZone(msgspec.Struct, frozen=True):
    """One sensor of temperature.

    Attributes:
        name: the kernel's word for what it stands at.
        celsius: degrees now; None where it can't be read now.
        trips: its trip points; none on many machines.
    """

    name: str
    celsius: float | None
    trips: list[TripPoint]

    @property
    def limit_celsius(self) -> float | None:
        """The lowest temperature at which the kernel slows the machine down or stops it."""
        return min((trip.celsius for trip in self.trips if trip.kind in _LIMITS), default=None)

    @property
    def margin_celsius(self) -> float | None:
        """How many degrees are left to that limit; None where either is unknown."""
        limit = self.limit_celsius
        return None if limit is None or self.celsius is None else limit - self.celsius


def thermal_zones(root: Path = Path("/")) -> list[ThermalZone]:
    """Every thermal zone, in the order of its number.

    Source: the kernel's Documentation/driver-api/thermal/sysfs-api.rst (temperatures in millidegrees).
    """
    folders = (root / "sys/class/thermal").glob("thermal_zone*")
    zones = sorted(folders, key=lambda folder: (len(folder.name), folder.name))
    return [
        ThermalZone(read_text(zone / "type") or zone.name, _celsius(zone / "temp"), _trips(zone))
        for zone in zones
    ]


def _trips(zone: Path) -> list[TripPoint]:
    trips = []
    for file in sorted(zone.glob("trip_point_*_temp")):
        kind, celsius = read_text(file.with_name(file.name.replace("_temp", "_type"))), _celsius(file)
        if kind and celsius is not None and celsius > 0:  # 0 and below: not set
            trips.append(TripPoint(kind, celsius))
    return trips


def _celsius(file: Path) -> float | None:
    value = read_int(file)
    celsius = None if value is None else value / 1000
    return celsius if celsius is not None and _PLAUSIBLE[0] <= celsius <= _PLAUSIBLE[1] else None
