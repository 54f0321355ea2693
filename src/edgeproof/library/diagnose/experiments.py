"""The experiments: the target run in another way beside itself, in turns."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.engines.onnx_signature import read_signature
from edgeproof.measure.comparison import Comparison, compare
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import WORKER, Run, Variant, measure

BATCH = 4
CONFIDENCE = 0.95
_MOST_PROCESSES, _FEWEST = 4, 3  # fresh ones of each variant: what repeats is the process, not the run
_OPENING = 1.0  # times the seconds of timed runs: where opening takes longer, there are fewer processes
_ROUNDS = 10_000
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Experiment:
    """One way to run the target that differs from how it is run in one thing.

    Attributes:
        name: of what is changed: threads, pinned, shapes, arena, graph, batch, device.
        option: what to set, as the command line takes it.
        symptom, cause: what it shows where it helps.
        per_run: pictures in one of its runs for each picture in one of the target's.
    """

    name: str
    variant: Variant
    option: str
    symptom: str
    cause: str
    per_run: int = 1


@dataclass
class Raced:
    """What was measured of one variant, over all its processes."""

    run: Run
    pss_mb: list[float] = field(default_factory=list)

    def processes(self, per_run: int = 1) -> list[list[list[float]]]:
        """Latencies for one picture: of each process its blocks."""
        numbers = [facts["process"] for facts in self.run.circumstances]
        blocks = [[value / per_run for value in block] for block in self.run.blocks]
        return [
            [block for block, number in zip(blocks, numbers, strict=True) if number == process]
            for process in sorted(set(numbers))
        ]

    def spread(self) -> float | None:
        """The 95th percentile as a multiple of the median: how much runs differ."""
        values = np.array(self.run.latencies_ms)
        return float(np.quantile(values, 0.95) / np.median(values)) if len(values) >= 130 else None


def plan(base: Variant, cores: Sequence[int], batch: Variant | None) -> list[Experiment]:
    """The experiments that fit a variant.

    Arguments:
        cores: the numbers of the processors that may be used.
        batch: the target with `BATCH` pictures in a run, where the network takes that many.
    """
    found = [*_threads(base, len(cores)), *_pinned(base, cores)]
    if base.engine == "onnxruntime":
        found += _of_onnxruntime(base)
    if base.worker == WORKER and base.engine in ("onnxruntime", "openvino"):
        found += _fixed_shape(base)
    if batch is not None:
        found.append(
            Experiment(
                "batch",
                replace(batch, id="batch"),
                f"--batch {BATCH}",
                "throughput",
                "each run has costs of its own that pictures of one batch share; each picture waits for its batch",
                per_run=BATCH,
            )
        )
    if base.device != "cpu" and base.options.get("cpu_fallback"):
        options = {name: value for name, value in base.options.items() if name != "cpu_fallback"}
        found.append(
            Experiment(
                "device",
                replace(base, id="device", device="cpu", options=options),
                "--device cpu",
                "slow",
                f"nodes that {base.device} can't run fell back to the processor, and data goes to and fro",
            )
        )
    return found


def _threads(base: Variant, cores: int) -> list[Experiment]:
    causes = {}
    if base.threads > 1:
        causes[1] = "the network is too small for its threads: they wait for each other"
    if cores > base.threads:
        causes[cores] = f"it runs on {base.threads} of {cores} cores"
    elif cores < base.threads:
        causes[cores] = f"{base.threads} threads take turns on {cores} core{'' if cores == 1 else 's'}"
    return [
        Experiment(
            "threads",
            replace(base, id=f"threads={count}", threads=count),
            f"--threads {count}",
            "slow",
            cause,
        )
        for count, cause in causes.items()
    ]


def _pinned(base: Variant, cores: Sequence[int]) -> list[Experiment]:
    if not base.threads < len(cores) or base.worker != WORKER or not hasattr(os, "sched_setaffinity"):
        return []
    # The last ones: interrupts and whatever else was started early gather on the first.
    chosen = sorted(cores)[-base.threads :]
    listed = ",".join(map(str, chosen))
    return [
        Experiment(
            "pinned",
            replace(base, id="pinned", request={**base.request, "cores": chosen}),
            f"taskset -c {listed}",
            "jitter",
            "the system moves its threads between cores, and their caches are cold each time",
        )
    ]


def _of_onnxruntime(base: Variant) -> list[Experiment]:
    arena = bool(base.options.get("arena", True))
    found = [
        Experiment(
            "arena",
            replace(base, id="arena", options={**base.options, "arena": not arena}),
            f"--engine-option arena={'false' if arena else 'true'}",
            "memory" if arena else "slow",
            "the allocator's pool keeps what a run no longer needs"
            if arena
            else "memory is asked from the system, and cleared, in every run",
        )
    ]
    if base.options.get("graph_level", "all") != "all":
        found.append(
            Experiment(
                "graph",
                replace(base, id="graph", options={**base.options, "graph_level": "all"}),
                "--engine-option graph_level=all",
                "slow",
                f"the graph is rewritten only as far as {base.options['graph_level']!r}",
            )
        )
    return found


def _fixed_shape(base: Variant) -> list[Experiment]:
    sizes = "" if base.options.get("fixed_shape") else open_sizes(base)
    if not sizes:
        return []
    return [
        Experiment(
            "shapes",
            replace(base, id="shapes", options={**base.options, "fixed_shape": sizes}),
            f"--engine-option fixed_shape={sizes}",
            "slow",
            "sizes that the file leaves open keep the runtime from working things out beforehand",
        )
    ]


def open_sizes(variant: Variant) -> str:
    """What the open sizes of an ONNX file are in this variant, as `fixed_shape` takes it; "" where none are."""
    if variant.model.suffix.lower() != ".onnx":
        return ""
    try:
        specs = read_signature(variant.model)[0]
    except (OSError, ValueError):
        return ""
    known: dict[str, int] = {}
    for spec in specs:
        if spec.name not in variant.inputs:
            return ""
        shape = np.load(variant.inputs[spec.name], mmap_mode="r").shape[1:]
        for size, value in zip(spec.shape, shape, strict=False):
            if isinstance(size, str):
                if not re.fullmatch(
                    r"[A-Za-z_]\w*", size
                ):  # an expression, or no name at all: can't be given by hand
                    return ""
                known[size] = int(value)
    return ",".join(f"{name}={value}" for name, value in known.items())


def race(
    base: Variant,
    experiments: Sequence[Experiment],
    *,
    seconds: float,
    seed: int,
    progress: Callable[[float], None],
    stop: Callable[[], bool],
) -> tuple[Raced, list[Raced]]:
    """Measure the target and every experiment in turns, in three or four fresh processes each.

    Arguments:
        seconds: of all timed runs together.
    """
    raced = [Raced(Run(replace(base, id="as it is"))), *(Raced(Run(one.variant)) for one in experiments)]
    by_id = {one.run.variant.id: one for one in raced}

    def finish(run: Run, worker: WorkerProcess) -> None:
        pss = worker.ask({"do": "memory"}, _TIMEOUT_S)["memory_mb"]["pss"]
        if pss is not None:
            by_id[run.variant.id].pss_mb.append(pss)

    count = process = 0
    while process < (count or 1) and not stop() and not raced[0].run.error:
        started, until = time.monotonic(), list[float]()

        def enough(until: list[float] = until, process: int = process, started: float = started) -> bool:
            nonlocal count
            now = time.monotonic()
            if not count:  # now it is known how long opening all of them takes
                fits = int(_OPENING * seconds / max(now - started, 1e-3))
                count = max(_FEWEST, min(_MOST_PROCESSES, fits))
            if not until:
                until.append(now + seconds / count)
            left = until[0] - now
            progress((process + max(0.0, 1 - left * count / seconds)) / count)
            return left <= 0 or stop()

        measure(
            [one.run for one in raced], {}, rounds=_ROUNDS, seed=seed + process, finish=finish, enough=enough
        )
        process += 1
    return raced[0], raced[1:]


def compared(one: Raced, base: Raced, per_run: int = 1) -> Comparison | None:
    """The latency for one picture against the target's; None where either was not measured."""
    if one.run.error or base.run.error:
        return None
    try:
        return compare(one.processes(per_run), base.processes(), together=True, confidence=CONFIDENCE)
    except EdgeproofError:
        return None


def stages(run: Run) -> dict[str, float] | None:
    """The median of each stage in ms, for a task; None for a network."""
    found: dict[str, list[float]] = {}
    for facts in run.circumstances:
        parts: dict[str, Any] = facts.get("stages_ms", {})
        for name, values in parts.items():
            found.setdefault(name, []).extend(values)
    return {name: float(np.median(values)) for name, values in found.items() if values} or None
