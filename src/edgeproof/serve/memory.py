"""What the processes of the service take, and what is left of the budget."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
# Data in the kernel's sense is what was asked for, not what is resident: threads' stacks and heaps reserve much.
_STACKS = 64_000_000


def pss_bytes(pid: int | str, proc: Path = PROC) -> int | None:
    """The proportional share of a process (pages that several hold count in parts); None where it can't be read."""
    try:
        text = (proc / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return _rss_bytes(pid, proc)
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), None)


def _rss_bytes(pid: int | str, proc: Path) -> int | None:
    try:
        pages = int((proc / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * resource.getpagesize()


def total_bytes(pids: Iterable[int | str]) -> int:
    """The sum over processes; one that has just gone counts nothing."""
    return sum(pss_bytes(pid) or 0 for pid in pids)


def resident_bytes(pid: int | str, proc: Path = PROC) -> int:
    """The resident set of a process, which is cheap to read; 0 for one that has gone."""
    return _rss_bytes(pid, proc) or 0


def limit_data(pid: int, room: int) -> None:
    """Have the system refuse a process what lies far beyond its budget, so that it fails there and nowhere else."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # gone already, or no Linux
        now = next(
            int(line.split()[1]) * 1024
            for line in (PROC / str(pid) / "status").read_text().splitlines()
            if line.startswith("VmData:")
        )
        limit = now + 2 * room + _STACKS
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
