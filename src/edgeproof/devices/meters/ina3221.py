"""INA3221: the power monitors on Jetson boards."""

from __future__ import annotations

from pathlib import Path

from edgeproof.devices.meters.sampling import SampledMeter
from edgeproof.devices.sysfs import read_int, read_text

# The rails that carry all that the module takes. The others are parts of it: adding them up would count twice.
# Source: NVIDIA Jetson Linux Developer Guide, "Jetson Orin NX Series and Jetson Orin Nano Series" power monitors.
_TOTALS = ("VDD_IN", "POM_5V_IN")
_CHANNELS = (1, 2, 3)
# The chip converts in milliseconds; asking it over I2C more often than this would load what is measured.
_FASTEST_S = 0.02


class Ina3221(SampledMeter):
    """The total rail of a Jetson module: all that it takes, without the carrier board.

    Source: the kernel's Documentation/hwmon/ina3221.rst (millivolts, milliamperes, milliseconds).
    """

    name = "ina3221"

    def __init__(self, root: Path = Path("/")) -> None:
        chips = (folder for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")))
        self._rails = {
            label: (chip, channel)
            for chip in chips
            if read_text(chip / "name") == "ina3221"
            for channel in _CHANNELS
            if (label := read_text(chip / f"in{channel}_label"))
        }
        self._total = next((label for label in _TOTALS if label in self._rails), None)
        self.scope = f"whole module, rail {self._total}" if self._total else "no total rail"
        interval_ms = read_int(self._rails[self._total][0] / "update_interval") if self._total else None
        self.interval_s = max(_FASTEST_S, min(interval_ms or 0, 1000) / 1000)

    def present(self) -> bool:
        """Whether the board has such a chip and the kernel shows it."""
        return bool(self._rails)

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        if not self._rails:
            return "This machine shows no INA3221 (a Jetson has it under /sys/class/hwmon)."
        if self._total is None:
            return (
                f"None of its rails ({', '.join(sorted(self._rails))}) is the total ({' or '.join(_TOTALS)}), "
                "and their sum would count some power twice. Measure at the board's supply with an external meter."
            )
        return None if self.watts() is not None else f"Its rail {self._total} can't be read. Try as root."

    def watts(self) -> float | None:
        """The power of the total rail now; None where the reading fails."""
        if self._total is None:
            return None
        chip, channel = self._rails[self._total]
        millivolts, milliamperes = (
            read_int(chip / f"in{channel}_input"),
            read_int(chip / f"curr{channel}_input"),
        )
        if millivolts is None or milliamperes is None or millivolts <= 0 or milliamperes < 0:
            return None
        return millivolts * milliamperes / 1e6
