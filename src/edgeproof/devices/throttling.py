"""What a machine tells of having slowed itself down: Intel's counters, and the Raspberry Pi's flags."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.sysfs import read_int

# Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_OCCURRED_FROM_BIT = 16


class ThrottleCounts(msgspec.Struct, frozen=True):
    """How often an Intel processor slowed down for its temperature since the machine started.

    Attributes:
        core: the sum over the processors; those that share a core count its events once each.
        package: of the package that did so most.
    """

    core: int | None
    package: int | None


def throttle_counts(root: Path = Path("/")) -> ThrottleCounts:
    """The counters of thermal_throttle; None where the processor has none.

    Source: the kernel's Documentation/ABI/testing/sysfs-devices-system-cpu.
    """
    folders = list((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle"))
    core = [read_int(folder / "core_throttle_count") for folder in folders]
    package = [read_int(folder / "package_throttle_count") for folder in folders]
    return ThrottleCounts(
        core=sum(known) if (known := [count for count in core if count is not None]) else None,
        package=max((count for count in package if count is not None), default=None),
    )


class RaspberryThrottling(msgspec.Struct, frozen=True):
    """What `vcgencmd get_throttled` says.

    Attributes:
        now: what holds now, of: under-voltage, frequency capped, throttled, soft temperature limit.
        occurred: what has held at any time since the start.
    """

    now: list[str]
    occurred: list[str]


def raspberry_throttling(runner: Runner = run_command) -> RaspberryThrottling | None:
    """A Raspberry Pi's own word on its voltage, clock and heat; None on other machines."""
    return decode_get_throttled(runner(["vcgencmd", "get_throttled"]) or "")


def decode_get_throttled(text: str) -> RaspberryThrottling | None:
    """The flags of a line such as `throttled=0x50005`; None for anything else."""
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,8})", text.strip())
    if found is None:
        return None
    bits = int(found[1], 16)
    return RaspberryThrottling(
        now=[flag for bit, flag in enumerate(_FLAGS) if bits >> bit & 1],
        occurred=[flag for bit, flag in enumerate(_FLAGS) if bits >> (bit + _OCCURRED_FROM_BIT) & 1],
    )
