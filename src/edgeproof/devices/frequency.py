"""The processor's clock: what it is, what it may be, and who decides."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeproof.devices.sysfs import as_int, read_int, read_text


class FrequencyPolicy(msgspec.Struct, frozen=True):
    """One group of processors that share a clock.

    Attributes:
        name: policy0 and so on.
        cpus: the numbers of its processors.
        governor: who chooses the clock: performance, powersave, schedutil...; None where the kernel doesn't tell.
        current_mhz: the clock now, as the kernel last knew it.
        min_mhz: the lowest that is allowed now.
        max_mhz: the highest that is allowed now; what throttles a machine often lowers it.
        hardware_max_mhz: the highest that the hardware has.
    """

    name: str
    cpus: list[int]
    governor: str | None
    current_mhz: float | None
    min_mhz: float | None
    max_mhz: float | None
    hardware_max_mhz: float | None


def frequency_policies(root: Path = Path("/")) -> list[FrequencyPolicy]:
    """Every policy of cpufreq, in the order of its number; none in most virtual machines.

    Source: the kernel's Documentation/admin-guide/pm/cpufreq.rst (frequencies in kHz).
    """
    folders = (root / "sys/devices/system/cpu/cpufreq").glob("policy*")
    return [_policy(folder) for folder in sorted(folders, key=lambda folder: (len(folder.name), folder.name))]


def _policy(folder: Path) -> FrequencyPolicy:
    numbers = map(as_int, (read_text(folder / "related_cpus") or "").split())
    return FrequencyPolicy(
        name=folder.name,
        cpus=[number for number in numbers if number is not None],
        governor=read_text(folder / "scaling_governor"),
        current_mhz=_mhz(folder / "scaling_cur_freq"),
        min_mhz=_mhz(folder / "scaling_min_freq"),
        max_mhz=_mhz(folder / "scaling_max_freq"),
        hardware_max_mhz=_mhz(folder / "cpuinfo_max_freq"),
    )


def _mhz(file: Path) -> float | None:
    khz = read_int(file)
    return khz / 1000 if khz is not None and khz > 0 else None
