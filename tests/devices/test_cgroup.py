"""Limits of containers, in both versions of cgroups, wherever the process stands in their tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards import bare
from edgeproof.devices.cgroup import CpuThrottling, cpu_quota, cpu_throttling, memory_limit_mb

V1_NONE = 9223372036854771712


@pytest.mark.parametrize(
    ("own", "files", "limit_mb"),
    [
        (None, {}, None),
        ("0::/", {"memory.max": "268435456"}, 268),
        ("0::/", {"memory.max": "max"}, None),
        ("0::/", {"memory.max": ""}, None),
        ("0::/", {"memory.max": "-1"}, None),
        ("0::/", {"memory.max": "lots"}, None),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "100000000"}, 100),
        ("0::/a/b", {"a/b/memory.max": "50000000", "a/memory.max": "100000000"}, 50),
        ("0::/a", {"other/memory.max": "1000000"}, None),
        ("0::/../../etc", {"memory.max": "7000000"}, 7),
        ("4:memory:/", {"memory/memory.limit_in_bytes": V1_NONE}, None),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "64000000"}, 64),
        ("4:cpu,memory:/docker/1\n0::/", {"memory/docker/1/memory.limit_in_bytes": "32000000"}, 32),
        # A container without a cgroup namespace sees the host's path, and its own group at the top.
        ("4:memory:/docker/1", {"memory/memory.limit_in_bytes": "32000000"}, 32),
        ("0::/", {"unified/memory.max": "9000000"}, 9),
    ],
)
def test_the_tightest_limit_of_memory_counts(
    tmp_path: Path, own: str | None, files: dict[str, object], limit_mb: int | None
) -> None:
    board = bare(tmp_path).write({f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    if own:
        board.write({"proc/self/cgroup": own})
    assert memory_limit_mb(board.root) == limit_mb


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        (None, {}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
        ("0::/", {"cpu.max": "100000"}, None),
        ("0::/a", {"a/cpu.max": "max 100000", "cpu.max": "50000 100000"}, 0.5),
        ("2:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2.0),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_the_tightest_quota_counts(
    tmp_path: Path, own: str | None, files: dict[str, object], quota: float | None
) -> None:
    board = bare(tmp_path).write({f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    if own:
        board.write({"proc/self/cgroup": own})
    assert cpu_quota(board.root) == quota


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, None),
        ({"cpu.stat": "usage_usec 5\nuser_usec 3"}, None),
        (
            {"cpu.stat": "usage_usec 5\nnr_periods 100\nnr_throttled 25\nthrottled_usec 1500000"},
            CpuThrottling(100, 25, 1.5),
        ),
        (
            {"cpu/cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 500000000"},
            CpuThrottling(10, 2, 0.5),
        ),
        ({"cpu.stat": "nr_periods x\nnr_throttled 2"}, None),
        ({"cpu.stat": "\x00\xff\n\n a b c d"}, None),
    ],
)
def test_how_often_the_quota_stopped_it(
    tmp_path: Path, files: dict[str, object], found: CpuThrottling | None
) -> None:
    board = bare(tmp_path).write({f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    assert cpu_throttling(board.root) == found
