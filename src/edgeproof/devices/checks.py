"""What makes measurements on this machine jump or mislead, and how to mend it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edgeproof.devices.cgroup import cpu_quota, cpu_throttling
from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.frequency import FrequencyPolicy, frequency_policies
from edgeproof.devices.load import CpuTimes, cpu_times, pressure
from edgeproof.devices.memory import Memory, memory
from edgeproof.devices.sysfs import read_text
from edgeproof.devices.thermal import ThermalZone, thermal_zones
from edgeproof.devices.throttling import RaspberryThrottling, raspberry_throttling

# Below these nothing is lost in practice: a few pages swapped out long ago, a tick of another program.
_SWAP_MB = 50
_OTHER_LOAD = 0.10
_STEAL, _STEAL_NOW = 0.01, 0.05  # a fraction of a second has few ticks
_MEMORY_PRESSURE = 0.01
_LEAST_AVAILABLE = 0.10
# So near to a trip point the clock goes down within the next minutes of work.
_MARGIN_CELSIUS = 5.0


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: what.
        state: ok or warn.
        seen: what was found; None where the machine doesn't tell, which counts as ok.
        fix: what to do; None where it is ok.
    """

    name: str
    state: str
    seen: str | None
    fix: str | None


def machine_checks(
    root: Path = Path("/"),
    runner: Runner = run_command,
    *,
    earlier: CpuTimes | None = None,
    own_share: float = 0.0,
    cores: int | None = None,
) -> list[Check]:
    """Look at everything that disturbs a measurement, the likeliest first.

    Arguments:
        root: what stands for `/`; a made-up tree in tests.
        runner: what runs `vcgencmd`; a fake in tests.
        earlier: what `cpu_times` gave some tenths of a second ago; without it, other load and steal now aren't known.
        own_share: the share of all processor time since then that this process took, from 0 to 1.
        cores: processors that this process may run on, before a quota; asked from the system by default.
    """
    now, policies, board = cpu_times(root), frequency_policies(root), _board(root)
    window = now.since(earlier) if now is not None and earlier is not None else None
    return [
        _governor(policies, board),
        _throttled(
            policies, thermal_zones(root), raspberry_throttling(runner) if "Raspberry" in board else None
        ),
        _swap(memory(root), root),
        _other_load(window, own_share),
        _memory_pressure(memory(root), root),
        _steal(now, window),
        _quota(root, cores if cores is not None else _allowed_cores()),
    ]


def _check(name: str, seen: str | None, trouble: bool, fix: str) -> Check:
    return Check(name, "warn" if trouble else "ok", seen, fix if trouble else None)


def _governor(policies: list[FrequencyPolicy], board: str) -> Check:
    governors = sorted({policy.governor for policy in policies if policy.governor})
    tee = "echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
    hold = "sudo jetson_clocks" if "Jetson" in board else tee
    return _check(
        "frequency governor",
        ", ".join(governors) or None,
        any(governor != "performance" for governor in governors),
        f"The first runs after a pause are slower. While you measure: {hold}",
    )


def _throttled(
    policies: list[FrequencyPolicy], zones: list[ThermalZone], raspberry: RaspberryThrottling | None
) -> Check:
    capped = [
        policy
        for policy in policies
        if (policy.max_mhz or 0) < (policy.hardware_max_mhz or 0) and policy.max_mhz
    ]
    hot = [zone for zone in zones if (margin := zone.margin_celsius) is not None and margin < _MARGIN_CELSIUS]
    now = [f"{flag} now" for flag in raspberry.now] if raspberry else []
    before = (
        [f"{flag} since the start" for flag in raspberry.occurred if flag not in raspberry.now]
        if raspberry
        else []
    )
    seen = [
        *now,
        *before,
        *(f"{zone.name} at {zone.celsius:.0f} °C, its limit is {zone.limit_celsius:.0f} °C" for zone in hot),
        *(
            f"{policy.name} may run at {policy.max_mhz:.0f} of {policy.hardware_max_mhz:.0f} MHz"
            for policy in capped
        ),
    ]
    voltage = any("under-voltage" in line for line in seen)
    cool = "Let it cool down, and give it a heatsink, a fan or moving air."
    fixes = {
        "Use the board's own power supply and a short, thick cable.": voltage,
        cool: bool(hot) or any("voltage" not in line for line in now),
        "If nobody limits the clock on purpose, it is the heat, or a power mode (Jetson: sudo nvpmodel -q).": bool(
            capped
        ),
    }
    known = bool(raspberry) or any(zone.margin_celsius is not None for zone in zones) or bool(policies)
    fix = " ".join(text for text, wanted in fixes.items() if wanted)
    return _check("throttled now", "; ".join(seen) or ("no" if known else None), bool(fix), fix)


def _swap(found: Memory, root: Path) -> Check:
    used = found.swap_used_mb
    compressed = "zram" in (read_text(root / "proc/swaps") or "")
    return _check(
        "swap in use",
        None if used is None else f"{used:,} MB{' (compressed memory)' if used and compressed else ''}",
        (used or 0) > _SWAP_MB,
        "What is swapped out comes back slowly. Close programs, then: sudo swapoff -a && sudo swapon -a",
    )


def _other_load(window: CpuTimes | None, own_share: float) -> Check:
    busy = window.busy_share if window is not None else None
    others = None if busy is None else max(0.0, busy - own_share)
    return _check(
        "other load",
        None if others is None else f"{others:.0%} of the processors",
        (others or 0) > _OTHER_LOAD,
        "Other programs take processor time. See which: ps -eo pcpu,pid,comm --sort=-pcpu | head",
    )


def _memory_pressure(found: Memory, root: Path) -> Check:
    waiting = pressure(root).get("memory")
    left = found.available_mb / found.total_mb if found.available_mb is not None and found.total_mb else None
    seen = [f"{left:.0%} of memory free" if left is not None else None]
    seen += [f"work waits for it {waiting.some:.0%} of the time" if waiting and waiting.some else None]
    return _check(
        "memory pressure",
        "; ".join(filter(None, seen)) or None,
        (waiting is not None and waiting.some > _MEMORY_PRESSURE)
        or (left is not None and left < _LEAST_AVAILABLE),
        "Close what holds the most: ps -eo rss,pid,comm --sort=-rss | head",
    )


def _steal(now: CpuTimes | None, window: CpuTimes | None) -> Check:
    always = now.steal_share if now is not None else None
    lately = window.steal_share if window is not None else None
    seen = [f"{always:.1%} since the start" if always is not None else None]
    seen += [f"{lately:.1%} now" if lately is not None else None]
    return _check(
        "steal",
        ", ".join(filter(None, seen)) or None,
        (always or 0) > _STEAL or (lately or 0) > _STEAL_NOW,
        "The host of this virtual machine gives its time to others: measure on a machine of your own, or repeat at "
        "other times of the day.",
    )


def _quota(root: Path, cores: int) -> Check:
    quota, counted = cpu_quota(root), cpu_throttling(root)
    if quota is None or quota >= cores:
        return Check("cgroup quota", "ok", "none" if quota is None else f"{quota:g} of {cores} cores", None)
    stopped = (
        f", stopped in {counted.throttled} of {counted.periods} periods"
        if counted and counted.throttled
        else ""
    )
    return Check(
        "cgroup quota",
        "warn",
        f"{quota:g} of {cores} cores{stopped}",
        f"More threads than the quota are stopped for the rest of each period. Use --threads {max(1, int(quota))}, or "
        "give the container whole cores (docker run --cpuset-cpus).",
    )


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _board(root: Path) -> str:
    return read_text(root / "proc/device-tree/model") or ""
