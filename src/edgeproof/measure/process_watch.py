"""`diagnose --pid`: a running process and its children, watched from outside and left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import UsageError
from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.host import usable_cores
from edgeproof.measure.diagnosis import Diagnosis, Finding
from edgeproof.measure.leak import Growth, confirmed, growth
from edgeproof.measure.observed import (
    Reading,
    busiest,
    busy_processes,
    check_observable,
    family,
    name_of,
    read_process,
)
from edgeproof.measure.sensor_log import SensorLog
from edgeproof.measure.soak import MOST_MINUTES
from edgeproof.measure.throttle import throttle
from edgeproof.measure.validity import Conditions, Watch

_READINGS = 240
_FEWEST = 40  # readings: two halves of 20
_WAITED = 0.1  # of the processor time that it used: what it waited for a core beside
_STEAL, _QUOTA = 0.02, 0.02


def watch_process(
    pid: int,
    *,
    minutes: float = 1.0,
    root: Path = Path("/"),
    runner: Runner = run_command,
    progress: Callable[[float], None] = lambda _share: None,
    stop: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Diagnosis:
    """Watch a process of ours and its children for some minutes; nothing of it is changed.

    A leak is confirmed by the second half of the time.

    Arguments:
        root, runner: stand for `/` and for `vcgencmd`; fakes in tests.
        sleep, clock: wait some seconds between two readings, and tell them.

    Raises:
        UsageError: the minutes are not above 0, or more than a week.
        NotFoundError: there is no such process. StorageError: it is not ours.
    """
    if not 0 < minutes <= MOST_MINUTES:
        raise UsageError(
            f"{minutes:g} minutes can't be watched.", hint=f"Give a number above 0, up to {MOST_MINUTES:g}."
        )
    proc = root / "proc"
    check_observable(pid, proc)
    name, watch, log = name_of(pid, proc), Watch(root, runner), SensorLog(root, runner)
    every = float(np.clip(minutes * 60 / _READINGS, 0.02, 10.0))
    readings: list[Reading] = []
    before, start = busy_processes(proc), clock()
    ended = False
    while not stop():
        reading = read_process(pid, proc, clock)
        if reading is None:
            ended = True
            break
        readings.append(reading)
        log.read()
        gone = clock() - start
        progress(min(1.0, gone / (minutes * 60)))
        if gone >= minutes * 60:
            break
        sleep(every)
    conditions = watch.changes()
    others = busiest(before, busy_processes(proc), clock() - start, {os.getpid(), *family(pid, proc)}, proc)
    observed = {**_observed(name, readings, ended, conditions, log), "others": others}
    findings = (
        [] if len(readings) < 2 else [*_memory(readings), *_processor(observed, conditions), *_heat(log)]
    )
    return Diagnosis(f"process {pid} ({name})", minutes, findings, [], observed)


def _observed(
    name: str, readings: list[Reading], ended: bool, conditions: Conditions, log: SensorLog
) -> dict[str, Any]:
    first, last = (readings[0], readings[-1]) if readings else (None, None)
    seconds = last.at - first.at if first and last else 0.0
    rates: dict[str, float | None] = dict.fromkeys(
        ("cores_used", "waited_cores", "switches_per_s", "waits_per_s", "major_faults_per_s")
    )
    if first and last and seconds > 0:
        rates["cores_used"] = max(0.0, last.cpu_s - first.cpu_s) / seconds
        if first.waited_s is not None and last.waited_s is not None:
            rates["waited_cores"] = max(0.0, last.waited_s - first.waited_s) / seconds
        rates["switches_per_s"] = max(0, last.switches - first.switches) / seconds
        rates["waits_per_s"] = max(0, last.waits - first.waits) / seconds
        rates["major_faults_per_s"] = max(0, last.faults - first.faults) / seconds
    memory = {kind: found.as_json() for kind, found in _growth(readings).items()}
    return {
        "name": name,
        "ended": ended,
        "enough": len(readings) >= _FEWEST,
        "seconds": seconds,
        "readings": len(readings),
        "cores": usable_cores(),
        "processes": last.processes if last else None,
        "threads": last.threads if last else None,
        "rss_mb": [first.rss_mb, last.rss_mb] if first and last else None,
        "pss_mb": None
        if first is None or last is None or first.pss_mb is None or last.pss_mb is None
        else [first.pss_mb, last.pss_mb],
        **rates,
        "memory": memory,
        "steal": conditions.steal,
        "pressure": conditions.pressure,
        "quota_s": conditions.quota_s,
        "sensors": log.summary(),
    }


def _growth(readings: list[Reading]) -> dict[str, Growth]:
    seconds = np.array([reading.at for reading in readings])
    rss = np.array([reading.rss_mb for reading in readings])
    pss = [reading.pss_mb for reading in readings if reading.pss_mb is not None]
    look = confirmed if len(readings) >= _FEWEST else growth
    return {
        "rss": look(seconds, rss),
        "pss": look(seconds if len(pss) == len(seconds) else np.empty(0), np.array(pss)),
    }


def _memory(readings: list[Reading]) -> list[Finding]:
    found = _growth(readings)
    verdicts = {one.verdict for one in found.values()} - {"not measured"}
    if verdicts != {"leak"}:
        return []
    best = found["pss"] if found["pss"].verdict == "leak" else found["rss"]
    assert best.mb_per_hour is not None
    return [
        Finding(
            "memory growth",
            f"its memory grew from {readings[0].rss_mb:.1f} to {readings[-1].rss_mb:.1f} MB, by "
            f"{growth_words(best)}",
            "the second half of the time, looked at on its own, grows as the first did",
            "it takes memory and does not give it back",
            f"Restart it at least every {hours_until(best.mb_per_hour, readings[-1].rss_mb)}, and run `edgeproof "
            "diagnose TARGET` on its network to see whether that is where the memory goes.",
        )
    ]


def count_words(count: int | None, thing: str) -> str:
    """A number of things, in words."""
    return f"{count} {thing}" + ("" if count == 1 else "s")


def others_words(others: list[dict[str, Any]]) -> str:
    """Who else uses the processor, in words."""
    if not others:
        return "no other program used much of them"
    return "most used by " + ", ".join(f"{one['name']} ({one['pid']}): {one['cores']:.2f}" for one in others)


def growth_words(found: Growth) -> str:
    """A rate of growth with its interval, in words."""
    assert found.mb_per_hour is not None
    assert found.ci is not None
    return f"{found.mb_per_hour:,.0f} MB an hour (95 %: {found.ci[0]:,.0f} to {found.ci[1]:,.0f})"


def hours_until(mb_per_hour: float, held_mb: float) -> str:
    """How long until a process holds twice what it holds now, in words."""
    minutes = 60 * held_mb / mb_per_hour
    return f"{minutes / 60:.0f} hours" if minutes >= 120 else count_words(max(1, round(minutes)), "minute")


def _processor(observed: dict[str, Any], conditions: Conditions) -> list[Finding]:
    findings = []
    used, waited = observed["cores_used"], observed["waited_cores"]
    if used and waited is not None and waited > _WAITED * used and waited > 0.02:
        findings.append(
            Finding(
                "processor taken away",
                f"it used {used:.2f} cores and waited for {waited:.2f} more; it was taken off a core "
                f"{observed['switches_per_s']:.0f} times a second",
                f"the kernel's own count over {observed['seconds']:.0f} s",
                f"{count_words(observed['threads'], 'thread')} of it and other programs want more than the "
                f"{count_words(observed['cores'], 'core')} there {'is' if observed['cores'] == 1 else 'are'}; "
                f"{others_words(observed['others'])}",
                "Give it fewer threads (--threads), keep other programs off its cores (taskset), or run them with "
                "nice.",
            )
        )
    if conditions.steal is not None and conditions.steal > _STEAL:
        findings.append(steal_finding(conditions.steal))
    if conditions.quota_s is not None and conditions.quota_s > _QUOTA * conditions.seconds:
        findings.append(quota_finding(conditions.quota_s / conditions.seconds))
    return findings


def steal_finding(share: float) -> Finding:
    """The host of a virtual machine took processor time."""
    return Finding(
        "processor taken away",
        f"the host of this virtual machine took {share:.0%} of the processor time",
        "the kernel's count of stolen time",
        "the host runs other machines on the same processors",
        "Use a machine with processors of its own.",
    )


def quota_finding(share: float) -> Finding:
    """A cgroup's quota stopped the processes."""
    return Finding(
        "processor taken away",
        f"the quota of its control group stopped it for {share:.0%} of the time",
        "the kernel's count of stopped time (cpu.stat)",
        "the container is allowed fewer cores than it has threads",
        "Allow it more (docker: --cpus), or use no more threads than it is allowed cores.",
    )


def _heat(log: SensorLog) -> list[Finding]:
    found = throttle(np.empty(0), log.sensors())
    if found.verdict != "throttled":
        return []
    return [heat_finding(found.reasons)]


def heat_finding(reasons: tuple[str, ...]) -> Finding:
    """The device slowed itself down."""
    return Finding(
        "heat",
        "; ".join(reasons),
        "clock, temperature and latency read together: two of the three changed",
        "the device gets too hot for this load and slows itself down",
        "Cool it better, or load it less: fewer threads, a smaller or quantised network (`edgeproof fit`), fewer "
        "pictures a second.",
    )
