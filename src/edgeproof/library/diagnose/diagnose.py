"""`diagnose`: watch a target, try what could help beside it, and say what the cause is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError, UsageError
from edgeproof.core.options import Options
from edgeproof.devices.host import usable_cores
from edgeproof.library.bench.bench import SIDES, TASKS, named_variants
from edgeproof.library.bench.photos import readable
from edgeproof.library.diagnose.causes import (
    contention,
    from_nodes,
    from_race,
    leaking,
    outside_network,
    unexplained,
)
from edgeproof.library.diagnose.experiments import BATCH, plan, race, stages
from edgeproof.measure.diagnosis import NODES_SHOWN, Diagnosis, Finding
from edgeproof.measure.latencies import describe
from edgeproof.measure.nodes import ENGINES as PROFILED
from edgeproof.measure.nodes import Node, profile
from edgeproof.measure.observed import busiest, busy_processes, family
from edgeproof.measure.process_watch import heat_finding, quota_finding, steal_finding
from edgeproof.measure.runs import WORKER, Run, Variant
from edgeproof.measure.soak import MOST_MINUTES, Soak, soak
from edgeproof.measure.statistics import percentile
from edgeproof.measure.targets import Wishes
from edgeproof.measure.throttle import throttle
from edgeproof.measure.validity import Conditions, Watch

_WATCHED = 0.3  # of the time: as it is, without a pause; the rest is for the experiments
_STEAL, _QUOTA = 0.02, 0.01

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class _Seen:
    """What was measured, before it is interpreted."""

    soak: Soak
    without_arena: Soak | None
    conditions: Conditions
    others: list[dict[str, Any]]
    others_cores: float


def diagnose(  # noqa: PLR0913 - one for each option
    target: str | os.PathLike[str],
    *,
    minutes: float = 1.0,
    engine: str | None = None,
    options: Options | None = None,
    threads: int | None = None,
    batch: int | None = None,
    model: str | None = None,
    input: str | os.PathLike[str] | None = None,
    input_shape: str = "",
    seed: int = 0,
    progress: Progress = lambda _stage, _share: None,
    stop: Callable[[], bool] = lambda: False,
) -> Diagnosis:
    """Find why a target is slow, unsteady, growing or hot, run as the arguments say.

    Arguments:
        target, model, input, input_shape: as for `edgeproof.library.bench.bench.bench`.
        minutes: of measuring; starting processes comes on top, and as long again where memory seems to grow.
        engine, options, threads, batch: how it is run; None leaves it to the target.
        progress: told the stage and the share of it that is done.
        stop: asked now and then whether to end early.

    Raises:
        UsageError: the minutes are not above 0, or more than a week.
        EdgeproofError: the target can't be read, or can't be run as it is asked to.
    """
    if not 0 < minutes <= MOST_MINUTES:
        raise UsageError(
            f"{minutes:g} minutes can't be measured.", hint=f"Give a number above 0, up to {MOST_MINUTES:g}."
        )
    with TemporaryDirectory(prefix="edgeproof-diagnose-") as folder:
        work = Path(folder)
        photos, pictures = readable(input) if input is not None else ([], [])
        wishes = Wishes(
            engines=[engine] if engine else (),
            threads=[threads] if threads else (),
            batches=[batch] if batch else (),
            options=options or {},
            pictures=[picture.pixels for picture in pictures],
            input_shape=input_shape,
            sides=SIDES,
            seed=seed,
        )
        (named,) = named_variants([os.fspath(target)], wishes, model, photos, _folder(work, "base"))
        base = named.variant
        seen = _watch(base, minutes * 60 * _WATCHED, progress, stop)
        more = _more_pictures(os.fspath(target), base, wishes, work)
        cores = _cores()
        experiments = plan(base, cores, more)
        raced, others = race(
            base,
            experiments,
            seconds=minutes * 60 * (1 - _WATCHED),
            seed=seed,
            progress=lambda share: progress("trying what could help", share),
            stop=stop,
        )
        if raced.run.error:
            raise raced.run.error
        progress("looking at each node", 0.0)
        nodes = _nodes(base)
        found, tried = from_race(raced, experiments, others)
        observed = _observed(base, raced.run, seen, len(cores), named.about)
        shape = describe(seen.soak.latencies_ms) if seen.soak.runs else None
        findings = [
            *leaking(seen.soak, seen.without_arena),
            *_machine(seen),
            *contention([raced, *others], len(cores), observed),
            *outside_network(observed["stages_ms"]),
            *from_nodes(nodes, str(raced.run.info.get("provider", ""))),
            *found,
        ]
        findings.sort(key=lambda finding: finding.gain or 1.0)
        return Diagnosis(
            os.fspath(target),
            minutes,
            [*findings, *unexplained(shape, raced, findings)],
            nodes[:NODES_SHOWN],
            {**observed, "shape": shape.as_json() if shape else None},
            tried,
        )


def _folder(work: Path, name: str) -> Path:
    place = work / name
    place.mkdir()
    return place


def _cores() -> list[int]:
    """The numbers of the processors that may be used, no more than the quota of the control group allows."""
    cores = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )
    return cores[: usable_cores()]


def _watch(base: Variant, seconds: float, progress: Progress, stop: Callable[[], bool]) -> _Seen:
    watch, before, start = Watch(), busy_processes(), time.monotonic()
    seen = soak(
        base,
        {},
        minutes=seconds / 60,
        stop=stop,
        progress=lambda share: progress("watching it as it is", share),
    )
    if seen.error:
        raise seen.error
    used, taken = busy_processes(), time.monotonic() - start
    ours = set(family(os.getpid()))
    others = busiest(before, used, taken, ours)
    cores = sum(used[pid] - before.get(pid, 0.0) for pid in used if pid not in ours) / taken
    again = None
    grows = [found.verdict for found in seen.memory.values() if found.verdict != "not measured"]
    if grows and set(grows) == {"leak"} and base.engine == "onnxruntime" and base.options.get("arena", True):
        again = soak(
            replace(base, options={**base.options, "arena": False}),
            {},
            minutes=seconds / 60,
            stop=stop,
            progress=lambda share: progress("the same with the arena off", share),
        )
    return _Seen(seen, None if again is None or again.error else again, watch.changes(), others, cores)


def _more_pictures(target: str, base: Variant, wishes: Wishes, work: Path) -> Variant | None:
    """The same with several pictures in a run, where the network takes that many."""
    if target in TASKS or base.batch != 1 or base.worker != WORKER:
        return None
    try:
        (named,) = named_variants(
            [target], replace(wishes, batches=[BATCH]), None, [], _folder(work, "batch")
        )
    except EdgeproofError:
        return None
    return named.variant


def _nodes(base: Variant) -> list[Node]:
    if base.worker != WORKER or base.engine not in PROFILED:
        return []
    try:
        return profile(base, {})
    except EdgeproofError:  # a diagnosis without it is still one
        return []


def _machine(seen: _Seen) -> list[Finding]:
    """What the machine itself did: heat, steal, quota."""
    findings = []
    heat = throttle(np.array(seen.soak.typical_ms), seen.soak.sensors.sensors())
    if heat.verdict == "throttled":
        findings.append(heat_finding(heat.reasons))
    conditions = seen.conditions
    if conditions.steal is not None and conditions.steal > _STEAL:
        findings.append(steal_finding(conditions.steal))
    if conditions.quota_s is not None and conditions.quota_s > _QUOTA * conditions.seconds:
        findings.append(quota_finding(conditions.quota_s / conditions.seconds))
    return findings


def _observed(base: Variant, run: Run, seen: _Seen, cores: int, about: Mapping[str, Any]) -> dict[str, Any]:
    waited = [facts["waited"] for facts in run.circumstances if facts.get("waited") is not None]
    heat = throttle(np.array(seen.soak.typical_ms), seen.soak.sensors.sensors())
    latencies = seen.soak.latencies_ms
    return {
        "engine": base.engine,
        "provider": run.info.get("provider"),
        "threads": base.threads,
        "batch": base.batch,
        "cores": cores,
        "runs": seen.soak.runs,
        "latency_ms": {
            name: percentile(latencies, p)
            for name, p in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
        },
        "stages_ms": stages(run),
        "waited": float(np.mean(waited)) if waited else None,
        "others": seen.others,
        "others_cores": seen.others_cores,
        "steal": seen.conditions.steal,
        "pressure": seen.conditions.pressure,
        "quota_s": seen.conditions.quota_s,
        "watched_s": seen.soak.seconds[-1] - seen.soak.seconds[0] if seen.soak.seconds else None,
        "memory": {name: found.as_json() for name, found in seen.soak.memory.items()},
        "rss_mb": [seen.soak.rss_mb[0], seen.soak.rss_mb[-1]] if seen.soak.rss_mb else None,
        "throttle": heat.as_json(),
        "sensors": seen.soak.sensors.summary(),
        "notes": list(about.get("notes", [])),
        "enough": bool(seen.soak.runs),
    }
