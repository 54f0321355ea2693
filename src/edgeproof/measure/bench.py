"""Measuring variants for `bench`: several fresh processes each, interleaved, with the machine watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgeproof._version import __version__
from edgeproof.core.errors import UsageError
from edgeproof.devices.host import describe_host
from edgeproof.devices.meters import Meter
from edgeproof.measure.energy import EnergyMeasurer
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.reference import reference_ms
from edgeproof.measure.runs import Run, Variant, keep_block, keep_memory, measure, time_block
from edgeproof.measure.runs_file import FORMAT, Arrived, Block, Measured, RunsFile
from edgeproof.measure.validity import Watch

# With 8 processes the whole spread of their ratios is an interval of 99 % (2 / 2^8 of risk), which supposes nothing.
PROCESSES = 8
_FEWEST = 3
SECONDS = 8.0
_OPENING_S = 7.0  # of a variant's time: where opening takes longer, there are fewer processes
_ROUNDS = 100_000
_ARRIVALS = 10  # of each process, at a fixed rate
_SLACK_S = 60.0
_REFERENCE_EVERY_S = 0.5


@dataclass(frozen=True)
class Plan:
    """How long and how to measure each variant.

    Attributes:
        seconds: of timed runs; None for the default, or for as long as `runs` take.
        runs: in all; None for as many as the seconds give.
        rate_hz: arrivals a second; None for runs one after another.
        seed: of every choice by chance.
    """

    seconds: float | None = None
    runs: int | None = None
    rate_hz: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (
            ("duration", self.seconds),
            ("rate", self.rate_hz),
            ("number of runs", self.runs),
        ):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"The {name} is {value}.", hint="Give a number above 0.")

    @property
    def processes(self) -> int:
        """How many for each variant, at the most."""
        if self.rate_hz is not None:
            return max(1, min(PROCESSES, self._arrivals // _ARRIVALS))
        return PROCESSES if self.runs is None else min(PROCESSES, self.runs)

    @property
    def _arrivals(self) -> int:
        if self.runs is not None:
            return self.runs
        assert self.rate_hz is not None
        return max(1, round((self.seconds or SECONDS) * self.rate_hz))

    def runs_of(self, process: int) -> int | None:
        """How many of the runs a process makes; None for as many as its time gives."""
        total = self._arrivals if self.rate_hz is not None else self.runs
        return None if total is None else total // self.processes + (process < total % self.processes)

    def seconds_of(self, process: int) -> float:  # noqa: ARG002 - all alike
        """The time of each process."""
        if self.seconds is None and self.runs is not None:
            return float("inf")
        return (self.seconds or SECONDS) / self.processes


@dataclass
class Session:
    """A measurement as it goes on; `file` is always what there is so far."""

    plan: Plan
    runs: list[Run]
    file: RunsFile

    def update(self) -> RunsFile:
        """`file`, brought up to date."""
        for run, measured in zip(self.runs, self.file.variants, strict=True):
            measured.info = run.info
            measured.cold_s, measured.load_s, measured.first_ms = run.cold_s, run.load_s, run.first_ms
            measured.memory_mb = run.memory_mb
            measured.error = run.error.as_json() if run.error else None
            done = len(measured.blocks)
            measured.blocks += [
                _block(latencies, facts)
                for latencies, facts in zip(run.blocks[done:], run.circumstances[done:], strict=True)
            ]
        return self.file


def new_session(variants: Sequence[Variant], plan: Plan, about: Mapping[str, Mapping[str, Any]]) -> Session:
    """A session in which nothing is measured yet.

    Arguments:
        about: of each variant by id: its `target`, and `task` and `notes` where it has them.
    """
    measured = [
        Measured(
            id=variant.id,
            engine=variant.engine,
            device=variant.device,
            threads=variant.threads,
            batch=variant.batch,
            options=dict(variant.options),
            **about[variant.id],
        )
        for variant in variants
    ]
    settings = {
        "processes": plan.processes,
        "seconds": plan.seconds,
        "runs": plan.runs,
        "rate_hz": plan.rate_hz,
        "seed": plan.seed,
    }
    host: dict[str, Any] = msgspec.to_builtins(describe_host())
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    file = RunsFile(FORMAT, __version__, created, settings, host, variants=measured)
    return Session(plan, [Run(variant) for variant in variants], file)


def measure_session(
    session: Session,
    *,
    save: Callable[[RunsFile], None] = lambda _file: None,
    progress: Callable[[float], None] = lambda _share: None,
    stop: Callable[[], bool] = lambda: False,
    root: Path = Path("/"),
    energy: Meter | None = None,
) -> RunsFile:
    """Measure everything that is planned; one variant that fails is a row with its error and the others go on.

    Arguments:
        save: given what there is so far, after each generation of processes and at the end, however that comes.
        progress: told the share that is done, 0 to 1.
        stop: asked between blocks whether to end early; what there is by then is kept.
        root: what stands for `/` when the machine is watched; a made-up tree in tests.
        energy: the meter to use; None for the machine's best.
    """
    plan, number = session.plan, 0
    meter = EnergyMeasurer(root, energy)
    count = plan.processes
    try:
        while number < count and not stop() and any(not run.error for run in session.runs):
            opening = _generation(session, number, meter, progress, stop, root, count)
            number += 1
            if number == 1 and plan.runs is None and plan.rate_hz is None:
                fewest = min(_FEWEST, count)
                count = max(fewest, min(count, int(_OPENING_S * len(session.runs) / max(opening, 1e-3))))
            save(session.update())
        session.file.complete = number == count and not stop()
    finally:
        meter.fill(session.file.variants)
        save(session.update())
    return session.file


def _generation(
    session: Session,
    number: int,
    meter: EnergyMeasurer,
    progress: Callable[[float], None],
    stop: Callable[[], bool],
    root: Path,
    count: int,
) -> float:
    """One fresh process of each variant; gives the seconds that opening them took."""
    plan, runs = session.plan, session.runs
    quota, seconds = plan.runs_of(number), plan.seconds_of(number) * len(runs)
    watch, references = Watch(root), [reference_ms()]
    done_before = {run.variant.id: len(run.latencies_ms) for run in runs}
    started = referred = time.monotonic()
    timed_from: float | None = None

    def made(run: Run) -> int:
        return len(run.latencies_ms) - done_before[run.variant.id]

    def tell() -> None:
        if timed_from is None:
            share = 0.0
        elif quota is not None and plan.rate_hz is None:
            share = min(made(run) / quota for run in runs)
        else:
            share = (time.monotonic() - timed_from) / seconds
        progress((number + min(1.0, share)) / count)

    def enough() -> bool:
        nonlocal timed_from, referred
        if timed_from is None:
            timed_from = time.monotonic()
        if time.monotonic() - referred >= _REFERENCE_EVERY_S:
            references.append(reference_ms())
            referred = time.monotonic()
        over = time.monotonic() - timed_from >= seconds
        full = quota is not None and all(run.error or made(run) >= quota for run in runs)
        return stop() or over or full

    def block(run: Run, worker: WorkerProcess) -> None:
        if stop():
            return
        if plan.rate_hz is not None:
            assert quota is not None
            _arrive(run, worker, plan.rate_hz, quota)
        elif quota is None or made(run) < quota:
            time_block(run, worker, None if quota is None else quota - made(run))

    def finish(run: Run, worker: WorkerProcess) -> None:
        keep_memory(run, worker.ask({"do": "memory"}, _SLACK_S)["memory_mb"])
        if not stop():
            meter.measure(run, worker)

    measure(
        runs,
        {},
        rounds=1 if plan.rate_hz is not None else _ROUNDS,
        seed=plan.seed + number,
        progress=tell,
        block=block,
        finish=finish,
        enough=enough,
    )
    session.file.conditions.append(watch.changes(references))
    return (timed_from or time.monotonic()) - started


def _arrive(run: Run, worker: WorkerProcess, rate_hz: float, count: int) -> None:
    longest = count / rate_hz + _SLACK_S
    keep_block(run, worker.ask({"do": "arrive", "rate_hz": rate_hz, "count": count}, longest))


def _block(latencies: list[float], facts: Mapping[str, Any]) -> Block:
    arrivals = None
    if "arrived" in facts:
        arrivals = Arrived(facts["arrived"], facts["dropped"], facts["late"], facts["seconds"])
    return Block(
        facts["process"],
        [round(value, 5) for value in latencies],
        facts.get("waited"),
        facts.get("mhz"),
        facts.get("stages_ms", {}),
        arrivals,
        facts.get("found"),
    )
