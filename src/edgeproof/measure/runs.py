"""Measuring variants against each other: fresh processes, shuffled blocks, raw values kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.core.options import Options
from edgeproof.measure.process import WorkerProcess

WORKER = "edgeproof.measure.worker"
_OPEN_TIMEOUT_S = 60.0
BLOCK_MS = (
    60.0  # long enough to drown the request's own cost, short enough that drift hits all variants alike
)
_BLOCK_RUNS = (3, 40)
_SLOW_MS = 300.0  # one run of a slow network is a block
_OUTPUTS_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Variant:
    """One thing to measure: a model file in an engine with its options.

    Attributes:
        batch: pictures in one run.
        inputs: the files that feed it, where they are its own; `whole` where each of their rows is a whole input, the
            batch axis and all.
        worker: the module of its measuring process, and `request`, what that one is told beside the rest.
    """

    id: str
    model: Path
    engine: str = "onnxruntime"
    device: str = "cpu"
    threads: int = 1
    options: Options = field(default_factory=dict)
    batch: int = 1
    inputs: Mapping[str, Path] = field(default_factory=dict)
    whole: bool = False
    worker: str = WORKER
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """What was measured of one variant; raw values, statistics come later.

    Attributes:
        blocks: latencies in ms, one list for each round, in the order of the rounds.
        circumstances: of each block: the number of its process, and what the process told beside latencies.
        cold_s, load_s, first_ms: one for each fresh process.
        memory_mb: peak resident memory by phase, the largest of all processes; None where it can't be read.
        error: why it could not be measured (further).
    """

    variant: Variant
    blocks: list[list[float]] = field(default_factory=list)
    circumstances: list[dict[str, Any]] = field(default_factory=list)
    cold_s: list[float] = field(default_factory=list)
    load_s: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    memory_mb: dict[str, float | None] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    error: EdgeproofError | None = None

    @property
    def latencies_ms(self) -> list[float]:
        """All latencies in the order they were measured."""
        return [value for block in self.blocks for value in block]

    @property
    def peak_mb(self) -> float | None:
        """The largest of the phases."""
        known = [value for phase, value in self.memory_mb.items() if value is not None and phase != "pss"]
        return max(known, default=None)

    def as_json(self) -> dict[str, Any]:
        """All of it, for evidence.json."""
        return {
            "id": self.variant.id,
            "engine": self.variant.engine,
            "threads": self.variant.threads,
            "options": dict(self.variant.options),
            "info": self.info,
            "cold_s": self.cold_s,
            "load_s": self.load_s,
            "first_ms": self.first_ms,
            "memory_mb": self.memory_mb,
            "blocks_ms": [[round(value, 4) for value in block] for block in self.blocks],
            "error": self.error.as_json() if self.error else None,
        }


def open_request(variant: Variant, inputs: Mapping[str, Path], spawned: float) -> dict[str, Any]:
    """The request that opens a variant in a measuring process."""
    return {
        "do": "open",
        "spawned": spawned,
        "model": str(variant.model),
        "engine": variant.engine,
        "device": variant.device,
        "threads": variant.threads,
        "options": dict(variant.options),
        "inputs": {name: str(path) for name, path in (variant.inputs or inputs).items()},
        "whole": variant.whole,
        **variant.request,
    }


def time_block(run: Run, worker: WorkerProcess, most: int | None = None) -> None:
    """Time about `BLOCK_MS` of runs one after another, `most` at the most."""
    typical = float(np.median(run.blocks[-1])) if run.blocks else run.first_ms[-1]
    low, high = _BLOCK_RUNS
    low = 1 if typical > _SLOW_MS else low
    count = int(np.clip(BLOCK_MS / max(typical, 1e-3), low, high))
    keep_block(
        run, worker.ask({"do": "time", "runs": count if most is None else min(count, most)}, _OPEN_TIMEOUT_S)
    )


def keep_block(run: Run, answer: dict[str, Any]) -> None:
    """Add what a process answered about one block."""
    run.blocks.append(answer.pop("latency_ms"))
    keep_memory(run, answer.pop("memory_mb"))
    run.circumstances.append({"process": len(run.cold_s) - 1, **answer})


def keep_memory(run: Run, memory: Mapping[str, float | None]) -> None:
    """Take over a process's memory by phase where it is larger than the other processes' was."""
    for phase, value in memory.items():
        before = run.memory_mb.get(phase)
        run.memory_mb[phase] = value if before is None else max(before, value or 0.0)


def measure(
    runs: Sequence[Run],
    inputs: Mapping[str, Path],
    *,
    rounds: int,
    seed: int,
    memory_mb: int | None = None,
    progress: Callable[[], None] = lambda: None,
    block: Callable[[Run, WorkerProcess], None] = time_block,
    finish: Callable[[Run, WorkerProcess], None] = lambda _run, _worker: None,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Measure every run in one fresh process each, in `rounds` rounds of shuffled blocks; adds to `runs`.

    One process works at a time: the others wait on their pipes. All variants of one call share its rounds,
    so block i of each was measured within the same second or two, whatever the machine did meanwhile.

    Arguments:
        inputs: the rows (.npy) that feed each input, for variants that have none of their own.
        block: measures one block.
        finish: what is still to be asked of a process when the rounds are over.
        enough: asked before each round: whether to leave out those that are left.
    """
    order = random.Random(seed)
    with ExitStack() as stack:
        workers: dict[str, WorkerProcess] = {}
        for run in _shuffled(runs, order):
            if run.error:
                continue
            worker = stack.enter_context(WorkerProcess(run.variant.worker, memory_mb=memory_mb))
            _guard(run, partial(_start, run, worker, inputs))
            workers[run.variant.id] = worker
            progress()
        for _ in range(rounds):
            if enough():
                break
            for run in _shuffled(runs, order):
                if not run.error:
                    _guard(run, partial(block, run, workers[run.variant.id]))
                progress()
        for run in runs:
            if not run.error:
                _guard(run, partial(finish, run, workers[run.variant.id]))


def _shuffled(runs: Sequence[Run], order: random.Random) -> list[Run]:
    return order.sample(list(runs), len(runs))


def _guard(run: Run, step: Callable[[], None]) -> None:
    try:
        step()
    except EdgeproofError as error:
        run.error = error


def _start(run: Run, worker: WorkerProcess, inputs: Mapping[str, Path]) -> None:
    answer = worker.ask(open_request(run.variant, inputs, worker.spawned), _OPEN_TIMEOUT_S)
    run.cold_s.append(answer["cold_s"])
    run.load_s.append(answer["load_s"])
    run.first_ms.append(answer["first_ms"])
    run.info = answer["info"]
    keep_memory(run, answer["memory_mb"])
    # The first runs after opening still fill caches and arenas; they are neither "first" nor steady.
    warm_up = 1 if run.first_ms[-1] > _SLOW_MS else _BLOCK_RUNS[0]
    worker.ask({"do": "time", "runs": warm_up}, _OPEN_TIMEOUT_S)
