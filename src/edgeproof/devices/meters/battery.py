"""The gauge of a laptop's or tablet's battery."""

from __future__ import annotations

from pathlib import Path

from edgeproof.devices.meters.sampling import SampledMeter
from edgeproof.devices.sysfs import read_int, read_text


class Battery(SampledMeter):
    """What the whole machine takes from its batteries, its screen too; only while they discharge.

    The gauge may hold a value for several seconds, longer than we ask it: measure for minutes.
    Source: the kernel's Documentation/ABI/testing/sysfs-class-power (microwatts, microamperes, microvolts).
    """

    name = "battery"
    scope = "whole machine, with its screen"
    interval_s = 1.0

    def __init__(self, root: Path = Path("/")) -> None:
        folders = sorted((root / "sys/class/power_supply").glob("*"))
        # scope Device: the battery of a mouse or a headset, which our work does not run on.
        self._batteries = [
            folder
            for folder in folders
            if read_text(folder / "type") == "Battery" and read_text(folder / "scope") != "Device"
        ]

    def present(self) -> bool:
        """Whether the machine has a battery of its own."""
        return bool(self._batteries)

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        if not self._batteries:
            return "This machine has no battery."
        if not self._discharging():
            return "It doesn't discharge. Unplug the charger while you measure."
        return (
            None if self.watts() is not None else "It tells neither its power, nor its current and voltage."
        )

    def watts(self) -> float | None:
        """The power that leaves all batteries now; None while none discharges, or one doesn't tell."""
        discharging = self._discharging()
        powers = [_watts(battery) for battery in discharging]
        known = [power for power in powers if power is not None]
        return sum(known) if known and len(known) == len(discharging) else None

    def _discharging(self) -> list[Path]:
        states = {battery: read_text(battery / "status") for battery in self._batteries}
        # A second battery that waits its turn is "Not charging" or "Full"; one that charges means a charger.
        if "Charging" in states.values():
            return []
        return [battery for battery, state in states.items() if state == "Discharging"]


def _watts(battery: Path) -> float | None:
    # Some drivers give what leaves the battery a minus, others not.
    power = read_int(battery / "power_now")
    if power:
        return abs(power) / 1e6
    current, volts = read_int(battery / "current_now"), read_int(battery / "voltage_now")
    return abs(current) * volts / 1e12 if current and volts and volts > 0 else None
