"""`fit`: gather, build, race, verify, measure, choose, seal."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from edgeproof.bundles.bundle import check_place
from edgeproof.core.budget import Budget
from edgeproof.core.errors import EdgeproofError, UsageError
from edgeproof.core.extras import require
from edgeproof.core.files import check_writable, write_atomically
from edgeproof.devices.host import Host, describe_host, usable_cores
from edgeproof.fit.accuracy import distinct_answers, verify_files
from edgeproof.fit.build import build_all
from edgeproof.fit.candidates import RECIPES, Built, plan
from edgeproof.fit.choose import choose, refuse_slower, speed
from edgeproof.fit.data import FitData, gather
from edgeproof.fit.report import render
from edgeproof.fit.result import FitResult, Row
from edgeproof.fit.seal import seal
from edgeproof.fit.target import Target, find_target
from edgeproof.fit.verdicts import PERCENTILES, judge
from edgeproof.measure.runs import BLOCK_MS, Run, Variant, measure
from edgeproof.measure.statistics import minimum_runs

# Without a clause on it accuracy is still gated: who gives no limit doesn't want to lose any.
DEFAULT_DROP = "drop<2%"
_SCREEN_ROUNDS = 8
_CONTENDERS = 4
_CONTENDER_REACH = 1.25  # times the fastest one's median: what screening can't tell apart for sure
_FINAL_PROCESSES = 2
_FINAL_SECONDS = 10.0
_MEMORY_SHARE = 0.8

Progress = Callable[[str, int, int], None]


def fit(  # noqa: PLR0913 - all but the model and its photos have a default and a name
    model: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str],
    budget: str | Budget = "",
    task: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    detector: str | None = None,
    photos: int | None = None,
    threads: Sequence[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda _stage, _done, _total: None,
) -> FitResult:
    """Fit a network to a budget and seal the choice in a bundle.

    Arguments:
        model: a task's name ("orientation") for its own network, a name of the catalogue, or a file of any format in
            `edgeproof.formats`.
        data: a folder of photos; for orientation, photos that stand upright.
        budget: as in `edgeproof.core.budget`; accuracy is always gated (`drop<2%` unless it says otherwise).
        task: orientation, detect, face-detection, face-recognition or attributes; None: what the catalogue says of the
            network, else orientation.
        labels: the truth of the photos. detect: a folder of YOLO's text, or COCO's JSON; face-detection: JSON of
            boxes; face-recognition: CSV of pairs; attributes: CSV of crops; see the commands that evaluate. None: the
            original's answers take its place.
        detector: what finds the faces for face-recognition and attributes; None for the catalogue's default.
        photos: at the most; None for 400, with pairs 2,000.
        threads: numbers of threads to try; None for 1 and all cores.
        out: the bundle; None for `NAME.edge` here. Written only when the budget can be met.
        report: the page; None for `report.html` beside the bundle, as `NAME.report.html`.
        seed: of every choice by chance.
        progress: called with the stage's name, what is done of it and how much it is.

    Raises:
        BudgetError, NotFoundError, UnknownNameError: asked for in a way we can't take.
        DataError: no photo can be used, or labels that don't fit. ModelError: the network can't be used.
        MissingExtraError: onnx is not installed. StorageError: the disk is full, or not ours to write to.
    """
    require("onnx", extra="fit", purpose="Fitting a network")
    limits = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_default(DEFAULT_DROP)
    host = describe_host()
    counts = sorted({1, *(threads or (usable_cores(),))})
    if counts[0] < 1:
        raise UsageError(f"threads is {counts[0]}.", hint="Use 1 or more; one thread a core at the most.")
    if photos is not None and photos < 1:
        raise UsageError(f"photos is {photos}.", hint="Use 1 or more; a few hundred decide most clauses.")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgeproof-fit-") as folder:
        work = Path(folder)
        known = None if labels is None else Path(labels)
        target = find_target(model, task, work, data=Path(data), labels=known, detector=detector)
        bundle = Path(out) if out is not None else Path(f"{target.name}.edge")
        page = Path(report) if report is not None else bundle.with_suffix(".report.html")
        check_place(bundle)
        check_writable(page)
        try:
            gathered = gather(
                target.task,
                Path(data),
                work,
                most=photos,
                seed=seed,
                workers=usable_cores(),
                progress=lambda done, total: progress("reading photos", done, total),
            )
        finally:
            target.task.close()
        rows = _race(target, gathered, limits, counts, work, host, seed, progress)
        chosen, verdicts = choose(rows, limits)
        result = FitResult(
            target=target.name,
            task=target.task.name,
            method=target.task.method,
            budget=limits,
            rows=rows,
            verdicts=verdicts,
            chosen=chosen.id if chosen else None,
            data=gathered,
            host=msgspec.to_builtins(host),
            seconds=time.monotonic() - started,
            seed=seed,
            bundle=bundle if chosen else None,
            report=page,
        )
        if chosen:
            seal(result, target, chosen, bundle)
        write_atomically(page, render(result.evidence()).encode())
    return replace(result, seconds=time.monotonic() - started)


def _race(
    target: Target,
    photos: FitData,
    budget: Budget,
    threads: Sequence[int],
    work: Path,
    host: Host,
    seed: int,
    progress: Progress,
) -> list[Row]:
    memory = int(host.memory_mb * _MEMORY_SHARE) if host.memory_mb else None
    steps = _Counter(progress)
    steps.start("building", len(RECIPES))
    built = build_all(target, RECIPES, photos, work, memory_mb=memory, progress=steps.step)
    rows = [
        _row(Row(candidate), built[candidate.recipe.name])
        for candidate in plan(threads, host.isa, target.batch)
    ]
    runs = _alive(rows)

    steps.start("first measurements", len(runs) * (1 + _SCREEN_ROUNDS))
    inputs = {target.input: photos.timing}
    measure(runs, inputs, rounds=_SCREEN_ROUNDS, seed=seed, memory_mb=memory, progress=steps.step)
    _note_failures(rows)
    refuse_slower(rows)

    able = [row for row in rows if row.status == "ok"]
    steps.start("checking accuracy", distinct_answers(able))
    clause = budget.get("drop")
    assert clause is not None
    verify_files(
        target,
        able,
        photos,
        clause.limit,
        work,
        side_by_side=host.cores,
        memory_mb=memory,
        progress=steps.step,
    )

    contenders = [row.run for row in _contenders(rows, budget) if row.run]
    rounds = _final_rounds(contenders, budget)
    steps.start("measuring", _FINAL_PROCESSES * len(contenders) * (1 + rounds))
    for process in range(_FINAL_PROCESSES):
        measure(
            contenders, inputs, rounds=rounds, seed=seed + 1 + process, memory_mb=memory, progress=steps.step
        )
    _note_failures(rows)
    refuse_slower(rows)
    return rows


def _row(row: Row, made: Built | EdgeproofError) -> Row:
    if isinstance(made, EdgeproofError):
        row.fail(made)
        return row
    row.built = made
    row.size_mb = made.model.stat().st_size / 1e6
    way = row.candidate
    row.run = Run(Variant(row.id, made.model, way.engine, threads=way.threads, options=way.options))
    return row


def _alive(rows: Sequence[Row]) -> list[Run]:
    return [row.run for row in rows if row.run and row.status == "ok"]


def _note_failures(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.run and row.run.error and row.status == "ok":
            row.fail(row.run.error)
    if rows[0].status == "failed" and rows[0].run and rows[0].run.error:
        raise rows[0].run.error  # without the original there is nothing to compare with


def _contenders(rows: Sequence[Row], budget: Budget) -> list[Row]:
    """The baseline and the few that may still be the fastest to meet the budget."""
    able = sorted((row for row in rows if row.status == "ok"), key=speed)
    able = [row for row in able if all(found.verdict != "fail" for found in judge(row, budget))] or able
    near = [row for row in able[:_CONTENDERS] if speed(row) <= _CONTENDER_REACH * speed(able[0])]
    return [rows[0], *(row for row in near if row is not rows[0])]


def _final_rounds(contenders: Sequence[Run], budget: Budget) -> int:
    """Rounds for each process: what the budget's percentiles need; else what p99 needs, if there is time."""
    block = min(len(block) for run in contenders for block in run.blocks)

    def rounds_for(runs: int) -> int:
        return -(-runs // (_FINAL_PROCESSES * block))

    asked = max((minimum_runs(PERCENTILES[c.metric]) for c in budget if c.metric in PERCENTILES), default=0)
    affordable = int(_FINAL_SECONDS * 1e3 / (_FINAL_PROCESSES * len(contenders) * BLOCK_MS))
    return max(rounds_for(asked), min(rounds_for(minimum_runs(0.99)), affordable))


class _Counter:
    """Steps of the stage that is running."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._stage, self._done, self._total = progress, "", 0, 0

    def start(self, stage: str, total: int) -> None:
        self._stage, self._done, self._total = stage, 0, total
        self._progress(stage, 0, total)

    def step(self) -> None:
        self._done += 1
        self._progress(self._stage, self._done, self._total)
