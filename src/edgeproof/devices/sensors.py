"""What the machine shows of its heat, its power and its memory limit."""

from __future__ import annotations

import os
from pathlib import Path

from edgeproof.devices.host import read_text


def thermal_zones(root: Path = Path("/")) -> list[dict[str, object]]:
    """Each thermal zone's name and temperature in degrees Celsius, None where it can't be read now.

    Source: the kernel's Documentation/driver-api/thermal/sysfs-api.rst (`temp` is in millidegrees).
    """
    zones: list[dict[str, object]] = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        text = read_text(zone / "temp") or ""
        celsius = int(text) / 1000 if text.lstrip("-").isdecimal() else None
        zones.append({"name": read_text(zone / "type") or zone.name, "celsius": celsius})
    return zones


def power_meters(root: Path = Path("/")) -> list[str]:
    """The energy counters that this process may read, by name; none of them is measured with yet.

    Source: Documentation/power/powercap/powercap.rst (`energy_uj`; since 2020 mostly for root only).
    """
    counters = sorted((root / "sys/class/powercap").glob("*/energy_uj"))
    readable = [counter for counter in counters if os.access(counter, os.R_OK)]
    return [read_text(counter.with_name("name")) or counter.parent.name for counter in readable]


def memory_limit_mb(root: Path = Path("/")) -> int | None:
    """The cgroup's limit of memory in 10^6 bytes; None where there is none (cgroup v2)."""
    text = read_text(root / "sys/fs/cgroup/memory.max") or ""
    return int(text) // 1_000_000 if text.isdecimal() else None
