"""Whether what was measured can be trusted: what the machine did meanwhile, and what the latencies themselves show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgeproof.devices.cgroup import CpuThrottling, cpu_throttling
from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.load import CpuTimes, cpu_times, pressure
from edgeproof.devices.throttling import ThrottleCounts, raspberry_throttling, throttle_counts
from edgeproof.measure.latencies import describe
from edgeproof.measure.statistics import minimum_runs

Verdict = Literal["valid", "suspect", "invalid"]

_FEW = minimum_runs(0.9)
_TOO_FEW = minimum_runs(0.5)
# Shares of the time: above the first a result is suspect, above the second it says nothing.
_STEAL = (0.02, 0.15)
_WAITED = (0.05, 0.3)
_PRESSURE = 0.3  # of the whole machine, our own waiting included
_QUOTA = 0.01
_CLOCK = 0.1  # between the slow and the fast tenth of the blocks
_PROCESSES = 0.1  # between the fastest and the slowest process


class Conditions(msgspec.Struct, frozen=True):
    """What the machine did while one generation of processes was measured; None where it doesn't tell.

    Attributes:
        seconds: how long that was.
        steal: share of the time that the host of a virtual machine took.
        pressure: share of the time in which some program waited for a core.
        throttled: times that the processor slowed down for its temperature.
        quota_s: seconds that a cgroup's quota stopped our processes.
        flags: what a Raspberry Pi says of its voltage and heat at the end.
        reference_ms: the reference load, in between.
    """

    seconds: float
    steal: float | None
    pressure: float | None
    throttled: int | None
    quota_s: float | None
    flags: list[str] | None
    reference_ms: list[float] = []


@dataclass(frozen=True)
class _Reading:
    at: float
    times: CpuTimes | None
    waited_s: float | None
    throttled: ThrottleCounts
    quota: CpuThrottling | None


class Watch:
    """Reads the machine's counters when made, and says at the end what changed.

    Arguments:
        root: what stands for `/`; a made-up tree in tests.
        runner: what runs `vcgencmd`; a fake in tests.
    """

    def __init__(self, root: Path = Path("/"), runner: Runner = run_command) -> None:
        self._root, self._runner = root, runner
        self._first = self._read()

    def changes(self, reference_ms: Sequence[float] = ()) -> Conditions:
        """What happened since it was made."""
        first, last = self._first, self._read()
        seconds = max(last.at - first.at, 1e-9)
        pi = raspberry_throttling(self._runner)
        return Conditions(
            seconds=seconds,
            steal=last.times.since(first.times).steal_share if first.times and last.times else None,
            pressure=None
            if first.waited_s is None or last.waited_s is None
            else min(1.0, (last.waited_s - first.waited_s) / seconds),
            throttled=_events(first.throttled, last.throttled),
            quota_s=last.quota.throttled_seconds - first.quota.throttled_seconds
            if first.quota and last.quota
            else None,
            flags=pi.now if pi else None,
            reference_ms=list(reference_ms),
        )

    def _read(self) -> _Reading:
        cpu = pressure(self._root).get("cpu")
        return _Reading(
            time.monotonic(),
            cpu_times(self._root),
            cpu.some_seconds if cpu else None,
            throttle_counts(self._root),
            cpu_throttling(self._root),
        )


def _events(first: ThrottleCounts, last: ThrottleCounts) -> int | None:
    pairs = ((first.core, last.core), (first.package, last.package))
    grown = [after - before for before, after in pairs if before is not None and after is not None]
    return max(grown, default=None)


def judge(
    processes: Sequence[Sequence[Sequence[float]]],
    conditions: Sequence[Conditions],
    *,
    waited: Sequence[float] = (),
    mhz: Sequence[float] = (),
    paced: bool = False,
) -> tuple[Verdict, list[str]]:
    """The verdict on one variant, and the reasons that were seen.

    Arguments:
        processes: latencies in ms: of each process its blocks in order.
        conditions: of each generation of processes.
        waited: of each block, the share of the time that its threads were ready and had no core.
        mhz: of each block, the clock of its core.
        paced: the runs came at a fixed rate: waiting in line makes trends and steps of its own.
    """
    invalid: list[str] = []
    suspect: list[str] = []
    _judge_machine(conditions, invalid, suspect)
    if waited:
        share = float(np.mean(waited))
        _grade(
            share, _WAITED, f"waited {share:.0%} of the time for a core that others used", invalid, suspect
        )
    if len(mhz) >= _TOO_FEW:
        slow, fast = np.quantile(mhz, (0.1, 0.9))
        if slow < (1 - _CLOCK) * fast:
            suspect.append(f"the clock stepped between {slow:.0f} and {fast:.0f} MHz")
    latencies = [value for blocks in processes for block in blocks for value in block]
    if len(latencies) < _TOO_FEW:
        invalid.append(f"{len(latencies)} runs; a median needs {_TOO_FEW}")
    elif len(latencies) < _FEW:
        suspect.append(f"only {len(latencies)} runs; p90 needs {_FEW}")
    if not paced:
        suspect.extend(_shapes(latencies))
        suspect.extend(_differences(processes))
    verdict: Verdict = "invalid" if invalid else "suspect" if suspect else "valid"
    return verdict, invalid + suspect


def _judge_machine(conditions: Sequence[Conditions], invalid: list[str], suspect: list[str]) -> None:
    seconds = sum(one.seconds for one in conditions)
    if not seconds:
        return
    steal = sum((one.steal or 0.0) * one.seconds for one in conditions) / seconds
    _grade(steal, _STEAL, f"the virtual machine's host took {steal:.0%} of the time", invalid, suspect)
    pressed = sum((one.pressure or 0.0) * one.seconds for one in conditions) / seconds
    if pressed > _PRESSURE:
        suspect.append(f"programs waited for a core in {pressed:.0%} of the time")
    if events := sum(one.throttled or 0 for one in conditions):
        invalid.append(f"the processor was throttled for heat {events} times")
    stopped = sum(one.quota_s or 0.0 for one in conditions) / seconds
    if stopped > _QUOTA:
        suspect.append(f"the cgroup's quota stopped it for {stopped:.0%} of the time")
    if flags := sorted({flag for one in conditions for flag in one.flags or ()}):
        invalid.append(f"the board reports: {', '.join(flags)}")


def _grade(
    share: float, limits: tuple[float, float], reason: str, invalid: list[str], suspect: list[str]
) -> None:
    if share > limits[0]:
        (invalid if share > limits[1] else suspect).append(reason)


def _shapes(latencies: Sequence[float]) -> list[str]:
    shape = describe(latencies)
    found = []
    if shape.drift:
        found.append(f"it drifted by {shape.drift.total:+.0%} while it was measured")
    if shape.step:
        found.append(
            f"it went from {shape.step.before:.3g} to {shape.step.after:.3g} ms at run {shape.step.at}"
        )
    if shape.modes:
        found.append(
            f"two speeds: about {shape.modes.low:.3g} ms, and {shape.modes.high:.3g} ms in "
            f"{shape.modes.share_high:.0%} of the runs"
        )
    if shape.stalls:
        found.append(
            f"runs of {shape.stalls.times:.1f} times the median every {shape.stalls.every:.3g} {shape.stalls.unit}"
        )
    return found


def _differences(processes: Sequence[Sequence[Sequence[float]]]) -> list[str]:
    medians = [float(np.median(np.concatenate([*map(np.asarray, blocks)]))) for blocks in processes if blocks]
    if len(medians) < 3 or max(medians) <= (1 + _PROCESSES) * min(medians):
        return []
    return [f"the medians of its processes lie between {min(medians):.3g} and {max(medians):.3g} ms"]
