"""The limits that a container or a service manager sets for this process, in both versions of cgroups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from edgeproof.devices.sysfs import as_int, read_int, read_text

# What version 1 shows where there is no limit: the largest number of whole pages.
_NO_LIMIT_BYTES = 2**62


class CpuThrottling(msgspec.Struct, frozen=True):
    """How often a quota stopped the processes of this cgroup, since it was made.

    Attributes:
        periods: how many periods of the quota there were.
        throttled: in how many of them the processes had to wait.
        throttled_seconds: how long they waited, all threads together.
    """

    periods: int
    throttled: int
    throttled_seconds: float


def memory_limit_mb(root: Path = Path("/")) -> int | None:
    """The limit of memory in 10^6 bytes, the tightest of this cgroup and those around it; None where there is none."""
    limits = [read_int(folder / "memory.max") for folder in _folders(root, "")]
    limits += [read_int(folder / "memory.limit_in_bytes") for folder in _folders(root, "memory")]
    known = [limit for limit in limits if limit is not None and 0 < limit < _NO_LIMIT_BYTES]
    return min(known) // 1_000_000 if known else None


def cpu_quota(root: Path = Path("/")) -> float | None:
    """How many processors' worth of time is allowed, such as 1.5, the tightest of all; None where there is no quota."""
    quotas = [_split(folder / "cpu.max") for folder in _folders(root, "")]
    quotas += [
        (read_int(folder / "cpu.cfs_quota_us"), read_int(folder / "cpu.cfs_period_us"))
        for folder in _folders(root, "cpu")
    ]
    return min(
        (quota / period for quota, period in quotas if quota and period and min(quota, period) > 0),
        default=None,
    )


def _split(file: Path) -> tuple[int | None, int | None]:
    quota, _, period = (read_text(file) or "").partition(" ")
    return as_int(quota), as_int(period)


def cpu_throttling(root: Path = Path("/")) -> CpuThrottling | None:
    """How often the quota of this cgroup stopped it; None where nothing is counted.

    Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and Documentation/scheduler/sched-bwc.rst.
    """
    for folder in (*_folders(root, ""), *_folders(root, "cpu")):
        lines = [line.split() for line in (read_text(folder / "cpu.stat") or "").splitlines()]
        values = {line[0]: as_int(line[1]) for line in lines if len(line) == 2}
        periods, throttled = values.get("nr_periods"), values.get("nr_throttled")
        micro, nano = values.get("throttled_usec"), values.get("throttled_time")
        if periods is not None and throttled is not None:
            return CpuThrottling(periods, throttled, micro / 1e6 if micro is not None else (nano or 0) / 1e9)
    return None


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """This process's cgroup and those around it, innermost first; `controller` is "" for version 2.

    A container may see its own cgroup as the top one, or the host's path, which isn't there: then the top is all.
    """
    path = "/"
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, own = rest.partition(":")
        if controller in controllers.split(",") and own.startswith("/") and ".." not in own:
            path = own
    tops = [f"sys/fs/cgroup/{controller}"] if controller else ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
    for top in tops:
        place = PurePosixPath(path)
        for folder in (place, *place.parents):
            yield root / top / str(folder).lstrip("/")
