"""What the kernel tells of a process and its children: memory, switches, faults, processor time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import NotFoundError, StorageError
from edgeproof.devices.sysfs import read_text

_MOST_PROCESSES = 256  # a service has a few workers; a tree without end must not hold us up

_NOTED, _NAMED = 0.05, 5  # cores from which a process is named, and how many are


@dataclass(frozen=True)
class Reading:
    """A process and all its descendants at one moment; sums over them.

    Attributes:
        at: seconds of the monotonic clock.
        rss_mb, pss_mb: in 10^6 bytes; PSS is None where one of them doesn't let it be read.
        cpu_s: processor time used so far. waited_s: ready, without a core; None where the kernel doesn't count.
        switches: times it was taken off a core (involuntary). waits: times it gave up its core itself.
        faults: pages that had to come from a disk. threads, processes: how many there are.
    """

    at: float
    rss_mb: float
    pss_mb: float | None
    cpu_s: float
    waited_s: float | None
    switches: int
    waits: int
    faults: int
    threads: int
    processes: int


def check_observable(pid: int, proc: Path = Path("/proc")) -> None:
    """Check that a process is there and ours to look at.

    Raises:
        NotFoundError: there is no such process. StorageError: it belongs to somebody else.
    """
    folder = proc / str(pid)
    if pid < 1 or not folder.is_dir() or is_over(pid, proc):
        raise NotFoundError(
            f"There is no running process {pid}.", hint="Find its number with: pgrep -af NAME"
        )
    if not os.access(folder / "maps", os.R_OK) or _text(folder / "smaps_rollup") is None:
        owner = folder.stat().st_uid
        if owner != os.geteuid() or not (folder / "smaps_rollup").exists():
            raise StorageError(
                f"Process {pid} is not ours to look at (its user has the number {owner}).",
                hint="Run this as that user, or with sudo.",
            )


def is_over(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process has ended (a zombie has)."""
    fields = _stat(proc / str(pid))
    return fields is None or fields[0] in ("Z", "X")


def name_of(pid: int, proc: Path = Path("/proc")) -> str:
    """A process's own short name."""
    return _text(proc / str(pid) / "comm") or str(pid)


def read_process(
    pid: int, proc: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic
) -> Reading | None:
    """A process and its descendants now; None where it has ended."""
    if is_over(pid, proc):
        return None
    members = family(pid, proc)
    parts = [part for member in members if (part := _one(member, proc)) is not None]
    if not parts:
        return None
    return Reading(
        at=clock(),
        rss_mb=sum(part.rss_mb for part in parts),
        pss_mb=_sum([part.pss_mb for part in parts]),
        cpu_s=sum(part.cpu_s for part in parts),
        waited_s=_sum([part.waited_s for part in parts]),
        switches=sum(part.switches for part in parts),
        waits=sum(part.waits for part in parts),
        faults=sum(part.faults for part in parts),
        threads=sum(part.threads for part in parts),
        processes=len(parts),
    )


def busy_processes(proc: Path = Path("/proc")) -> dict[int, float]:
    """Processor time that each process has used so far, in seconds."""
    found = {}
    for pid in _pids(proc):
        fields = _stat(proc / str(pid))
        if fields is not None:
            found[pid] = _cpu_s(fields)
    return found


def busiest(
    before: Mapping[int, float],
    after: Mapping[int, float],
    seconds: float,
    leave_out: Iterable[int],
    proc: Path = Path("/proc"),
) -> list[dict[str, Any]]:
    """The processes that used most of the processor between two `busy_processes`, in cores; the least are left out."""
    used = {
        pid: (cpu_s - before.get(pid, 0.0)) / max(seconds, 1e-9)
        for pid, cpu_s in after.items()
        if pid not in set(leave_out)
    }
    most = sorted((pid for pid in used if used[pid] >= _NOTED), key=lambda pid: -used[pid])
    return [{"pid": pid, "name": name_of(pid, proc), "cores": round(used[pid], 3)} for pid in most[:_NAMED]]


def _one(pid: int, proc: Path) -> Reading | None:
    folder = proc / str(pid)
    fields, status = _stat(folder), _fields(_text(folder / "status"))
    if fields is None or "VmRSS" not in status:
        return None
    switches = waits = 0
    waited: list[float | None] = []
    for thread in _pids(folder / "task"):
        counts = _fields(_text(folder / "task" / str(thread) / "status"))
        switches += _number(counts.get("nonvoluntary_ctxt_switches"))
        waits += _number(counts.get("voluntary_ctxt_switches"))
        numbers = (_text(folder / "task" / str(thread) / "schedstat") or "").split()
        waited.append(int(numbers[1]) / 1e9 if len(numbers) > 1 and numbers[1].isdecimal() else None)
    rollup = _fields(_text(folder / "smaps_rollup"))
    return Reading(
        at=0.0,
        rss_mb=_number(status["VmRSS"]) * 1024 / 1e6,
        pss_mb=_number(rollup["Pss"]) * 1024 / 1e6 if "Pss" in rollup else None,
        cpu_s=_cpu_s(fields),
        waited_s=_sum(waited),
        switches=switches,
        waits=waits,
        faults=int(fields[9]),
        threads=len(waited),
        processes=1,
    )


def _stat(folder: Path) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on (proc(5)); a name in brackets may hold spaces."""
    fields = (_text(folder / "stat") or "").rpartition(")")[2].split()
    return fields if len(fields) > 20 else None


def _cpu_s(fields: Sequence[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """A process and its descendants, up to 256 of them."""
    parents: dict[int, list[int]] = {}
    for other in _pids(proc):
        fields = _stat(proc / str(other))
        if fields is not None:
            parents.setdefault(int(fields[1]), []).append(other)
    found, waiting = [pid], [pid]
    while waiting and len(found) < _MOST_PROCESSES:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _pids(folder: Path) -> list[int]:
    try:
        return [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]
    except OSError:
        return []


def _text(file: Path) -> str | None:
    return read_text(file)


def _fields(text: str | None) -> dict[str, str]:
    pairs = (line.partition(":") for line in (text or "").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _number(text: str | None) -> int:
    word = (text or "0").split()[0]
    return int(word) if word.isdecimal() else 0


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) and known else None
