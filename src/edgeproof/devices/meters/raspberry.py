"""The power management chip of a Raspberry Pi 5, asked through `vcgencmd`."""

from __future__ import annotations

import re
from pathlib import Path

from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.meters.sampling import SampledMeter
from edgeproof.devices.sysfs import read_text

# The boards with this chip; their siblings of the fourth generation and before measure no currents.
_BOARDS = ("Raspberry Pi 5", "Raspberry Pi Compute Module 5")
_COMMAND = ("vcgencmd", "pmic_read_adc")
_LINE = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(\d{1,4}\.\d+)[AV]$", re.MULTILINE)
# Voltages without a current: the board's own input, and the battery of its clock.
_NO_CURRENT = {"EXT5V", "BATT"}


class RaspberryPmic(SampledMeter):
    """The sum over the rails that the chip makes: all chips of the board.

    What takes its 5 V directly (USB devices, a fan, hats) and the chip's own losses are not in it: a meter at the
    supply shows more.
    Source: https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd (`pmic_read_adc`).
    """

    name = "pmic"
    scope = "board's own rails, without USB, fan, hats and conversion losses"
    # Each reading starts a program and takes milliseconds of a core: more often would change what is measured.
    interval_s = 0.2

    def __init__(self, root: Path = Path("/"), runner: Runner = run_command) -> None:
        self._board, self._run = read_text(root / "proc/device-tree/model") or "", runner

    def present(self) -> bool:
        """Whether the board has this chip."""
        return self._board.startswith(_BOARDS)

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        if not self.present():
            return "This is no Raspberry Pi 5."
        if self.watts() is not None:
            return None
        return (
            "vcgencmd pmic_read_adc gives no answer. It is there with: sudo apt install raspi-utils. "
            'It needs the group video: sudo usermod -aG video "$USER", and a new login.'
        )

    def watts(self) -> float | None:
        """The sum of current x voltage over the rails; None where one of them is missing or the program fails."""
        return rail_watts(self._run(_COMMAND) or "")


def rail_watts(text: str) -> float | None:
    """The power that an answer of `pmic_read_adc` adds up to; None where a rail has no voltage or no current."""
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, unit, number in _LINE.findall(text):
        values[unit][rail] = float(number)
    amperes, volts = values["A"], values["V"]
    if not amperes or set(amperes) != set(volts) - _NO_CURRENT:
        return None
    return sum(ampere * volts[rail] for rail, ampere in amperes.items())
