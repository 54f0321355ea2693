"""How busy the machine is, and how much it waits: processor time, steal, pressure."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edgeproof.devices.sysfs import as_int, read_text

# The first columns of /proc/stat's line `cpu`; guest time is already in user and nice. Source: proc_stat(5).
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_RESOURCES = ("cpu", "memory", "io")


class CpuTimes(msgspec.Struct, frozen=True):
    """Time that all processors together spent since the machine started, in ticks.

    Attributes:
        busy: on work of any process, and of the kernel.
        idle: on nothing, waiting for a disk too.
        steal: taken by the host of a virtual machine while there was work.
    """

    busy: int
    idle: int
    steal: int

    def since(self, earlier: CpuTimes) -> CpuTimes:
        """What was spent between two readings."""
        return CpuTimes(self.busy - earlier.busy, self.idle - earlier.idle, self.steal - earlier.steal)

    @property
    def busy_share(self) -> float | None:
        """Busy time, from 0 to 1; None where no time went by."""
        return self._share(self.busy)

    @property
    def steal_share(self) -> float | None:
        """Stolen time, from 0 to 1; None where no time went by."""
        return self._share(self.steal)

    def _share(self, part: int) -> float | None:
        total = self.busy + self.idle + self.steal
        return part / total if total > 0 and part >= 0 else None


def cpu_times(root: Path = Path("/")) -> CpuTimes | None:
    """The first line of /proc/stat; None where it can't be read."""
    words = (read_text(root / "proc/stat") or "").partition("\n")[0].split()
    numbers = [as_int(word) for word in words[1 : 1 + len(_COLUMNS)]]
    values = dict(zip(_COLUMNS, (number or 0 for number in numbers), strict=False))
    if words[:1] != ["cpu"] or "idle" not in values or None in numbers:
        return None
    idle, steal = values["idle"] + values.get("iowait", 0), values.get("steal", 0)
    return CpuTimes(sum(values.values()) - idle - steal, idle, steal)


class Pressure(msgspec.Struct, frozen=True):
    """How much of the time work had to wait for one resource (PSI), as shares from 0 to 1.

    Attributes:
        some: at least one task waited, over the last 10 seconds.
        full: all tasks waited, over the last 10 seconds; None where the kernel doesn't tell.
        some_seconds: the time since the start in which at least one task waited; its growth tells of any interval.
    """

    some: float
    full: float | None
    some_seconds: float | None


def pressure(root: Path = Path("/")) -> dict[str, Pressure]:
    """PSI of cpu, memory and io, those that the kernel shows (it may be built without).

    Source: the kernel's Documentation/accounting/psi.rst.
    """
    found = {}
    for resource in _RESOURCES:
        text = read_text(root / "proc/pressure" / resource) or ""
        some, full = (
            re.search(rf"^{kind} avg10=(\d{{1,3}}\.\d+)", text, re.MULTILINE) for kind in ("some", "full")
        )
        total = re.search(r"^some .*total=(\d{1,20})$", text, re.MULTILINE)
        if some:
            found[resource] = Pressure(
                some=float(some[1]) / 100,
                full=float(full[1]) / 100 if full else None,
                some_seconds=int(total[1]) / 1e6 if total else None,
            )
    return found
