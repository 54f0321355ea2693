"""Which kinds of cores a processor has: big and little ones are not equally fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from edgeproof.devices.sysfs import as_int, read_int, read_text

# By the implementer and part of /proc/cpuinfo. Source: the kernel's arch/arm64/include/asm/cputype.h.
_ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53", ("0x41", "0xd04"): "Cortex-A35", ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57", ("0x41", "0xd08"): "Cortex-A72", ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75", ("0x41", "0xd0b"): "Cortex-A76", ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd0d"): "Cortex-A77", ("0x41", "0xd40"): "Neoverse-V1", ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE", ("0x41", "0xd44"): "Cortex-X1", ("0x41", "0xd46"): "Cortex-A510",
    ("0x41", "0xd47"): "Cortex-A710", ("0x41", "0xd48"): "Cortex-X2", ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4b"): "Cortex-A78C", ("0x41", "0xd4d"): "Cortex-A715", ("0x41", "0xd4e"): "Cortex-X3",
    ("0x41", "0xd4f"): "Neoverse-V2", ("0x41", "0xd80"): "Cortex-A520", ("0x41", "0xd81"): "Cortex-A720",
    ("0x4e", "0x004"): "Carmel",
}  # fmt: skip
_NAMES = {1: ("all alike",), 2: ("big", "little"), 3: ("big", "middle", "little")}


class CoreKind(msgspec.Struct, frozen=True):
    """Processors that are equally fast.

    Attributes:
        kind: all alike, big, middle, little; performance or efficiency on a hybrid Intel processor.
        cpus: their numbers, as `taskset` takes them; two threads of one core are two of them.
        core: what the core is called; None where it doesn't tell.
        max_mhz: the highest clock of the hardware; None where it isn't known.
    """

    kind: str
    cpus: list[int]
    core: str | None
    max_mhz: float | None


def core_kinds(root: Path = Path("/")) -> list[CoreKind]:
    """The kinds of cores, fastest first; none where the machine shows no processors.

    Told apart by what the kernel knows of their types (hybrid Intel), their capacity (ARM), or, on ARM without that,
    their highest clock. An Intel processor's clocks alone don't tell: it has favoured cores that are of the same kind.
    """
    models = _arm_models(read_text(root / "proc/cpuinfo") or "")
    cpus = _cpus(root) or sorted(models)
    hybrid = [
        ("performance", cpu_list(read_text(root / "sys/devices/cpu_core/cpus") or "")),
        ("efficiency", cpu_list(read_text(root / "sys/devices/cpu_atom/cpus") or "")),
    ]
    if all(numbers for _, numbers in hybrid):
        groups = hybrid
    else:
        capacity = {cpu: _of_cpu(root, cpu, "cpu_capacity") for cpu in cpus}
        clock = {cpu: _of_cpu(root, cpu, "cpufreq/cpuinfo_max_freq") for cpu in cpus}
        groups = _grouped(
            cpus, capacity.get if any(capacity.values()) else clock.get if models else lambda _: None
        )
    return [
        CoreKind(kind, numbers, _core(models, numbers), _max_mhz(root, numbers)) for kind, numbers in groups
    ]


def cpu_list(text: str) -> list[int]:
    """The numbers of a list such as `0-3,8`; none where it is no such list."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        low, high = as_int(first), as_int(last if dash else first)
        if low is None or high is None or not 0 <= low <= high < 2**16:
            return []
        numbers += range(low, high + 1)
    return numbers


def _grouped(cpus: Iterable[int], speed: Callable[[int], int | None]) -> list[tuple[str, list[int]]]:
    groups: dict[int, list[int]] = {}
    for cpu in cpus:
        groups.setdefault(speed(cpu) or 0, []).append(cpu)
    fastest_first = [groups[key] for key in sorted(groups, reverse=True)]
    names = _NAMES.get(len(groups)) or [f"kind {number + 1}" for number in range(len(groups))]
    return list(zip(names, fastest_first, strict=True))


def _cpus(root: Path) -> list[int]:
    online = cpu_list(read_text(root / "sys/devices/system/cpu/online") or "")
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*")
    return online or sorted(number for folder in folders if (number := as_int(folder.name[3:])) is not None)


def _arm_models(cpuinfo: str) -> dict[int, str]:
    """The core of each processor that /proc/cpuinfo tells the part of, which only ARM does."""
    models = {}
    for block in re.split(r"\n\s*\n", cpuinfo):
        fields = dict(re.findall(r"^(processor|CPU implementer|CPU part)\s*: (\S+)$", block, re.MULTILINE))
        number = as_int(fields.get("processor"))
        if number is not None and "CPU part" in fields:
            maker, part = fields.get("CPU implementer", ""), fields["CPU part"]
            models[number] = _ARM_CORES.get((maker, part), f"part {part} of implementer {maker}")
    return models


def _core(models: dict[int, str], cpus: list[int]) -> str | None:
    names = {models.get(cpu) for cpu in cpus}
    return names.pop() if len(names) == 1 else None


def _max_mhz(root: Path, cpus: list[int]) -> float | None:
    clocks = [_of_cpu(root, cpu, "cpufreq/cpuinfo_max_freq") for cpu in cpus]
    highest = max((clock for clock in clocks if clock), default=None)
    return None if highest is None else highest / 1000


def _of_cpu(root: Path, cpu: int, name: str) -> int | None:
    value = read_int(root / f"sys/devices/system/cpu/cpu{cpu}" / name)
    return value if value is not None and value > 0 else None
