"""What each file answers to all rows, some rows at a time: outputs of detectors are too large to keep."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.core.tensor import Array
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import Variant

_WORKER = "edgeproof.fit.answering"
_OPEN_TIMEOUT_S = 60.0
_ROWS_TIMEOUT_S = 900.0
# What a process hands over at a time: on disk lie two for each at the most, in memory one.
_PART_BYTES = 8 << 20
_PART_ROWS = 64


@dataclass(frozen=True, eq=False)
class Part:
    """Outputs of one variant.

    Attributes:
        variant: its number.
        start: the first of the rows.
        outputs: of each row, with a batch axis of one; or why there are none, and then no more come.
    """

    variant: int
    start: int
    outputs: list[dict[str, Array]] | EdgeproofError


def outputs_in_parts(
    variants: Sequence[Variant],
    input: str,
    rows: Path,
    places: range,
    work: Path,
    *,
    side_by_side: int,
    memory_mb: int | None,
) -> Iterator[Part]:
    """Every variant's outputs for every row, from a process of its own: for the same rows one variant after the other.

    Arguments:
        rows: an archive of `edgeproof.fit.rows`.
        places: which of them, one after the other.
        work: a folder for what passes between the processes.
        side_by_side: how many processes work at a time; nothing is timed here.
    """
    with ExitStack() as stack:
        workers: dict[int, WorkerProcess] = {}
        for number, variant in enumerate(variants):
            worker = stack.enter_context(WorkerProcess(_WORKER, memory_mb=memory_mb))
            try:
                worker.ask(_open_request(variant, input, rows), _OPEN_TIMEOUT_S)
                workers[number] = worker
            except EdgeproofError as error:
                worker.close()
                yield Part(number, 0, error)
        threads = ThreadPoolExecutor(side_by_side)
        try:
            yield from _answers(workers, places, work, threads)
        finally:  # interrupted, only what is running is waited for
            threads.shutdown(cancel_futures=True)


def _answers(
    workers: dict[int, WorkerProcess], places: range, work: Path, threads: ThreadPoolExecutor
) -> Iterator[Part]:
    """Part by part; while one is looked at, the processes answer to the next."""
    taking_turns = {number: threading.Lock() for number in workers}
    ended: set[int] = set()

    def answer(number: int, start: int, stop: int) -> _Answer:
        if number in ended:
            return _Answer(number, start, stop, None)
        out = _place(work, number, start)
        request = {"do": "answer", "start": start, "stop": stop, "out": str(out)}
        try:
            with taking_turns[number]:
                return _Answer(number, start, stop, workers[number].ask(request, _ROWS_TIMEOUT_S))
        except EdgeproofError as error:
            ended.add(number)
            return _Answer(number, start, stop, error)

    def ask(start: int, rows: int) -> Sequence[Future[_Answer]]:
        stop = min(start + rows, places.stop)
        return [threads.submit(answer, number, start, stop) for number in workers] if start < stop else []

    first = ask(places.start, 1)  # says how large the others are
    largest = max((future.result().row_bytes for future in first), default=1)
    rows = int(np.clip(_PART_BYTES // largest, 1, _PART_ROWS))
    now, start = first, places.start + 1
    while now:
        coming, start = ask(start, rows), start + rows
        for future in now:
            found = future.result()
            if found.answer is not None:
                yield found.read(work)
        now = coming


@dataclass(frozen=True)
class _Answer:
    """What a process says of some rows: that it wrote them, why it couldn't, or None, when it had ended before."""

    number: int
    start: int
    stop: int
    answer: dict[str, Any] | EdgeproofError | None

    @property
    def row_bytes(self) -> int:
        if not isinstance(self.answer, dict):
            return 1
        return max(1, int(self.answer["bytes"]) // (self.stop - self.start))

    def read(self, work: Path) -> Part:
        if isinstance(self.answer, EdgeproofError):
            return Part(self.number, self.start, self.answer)
        return Part(self.number, self.start, _read(_place(work, self.number, self.start), self))


def _place(work: Path, number: int, start: int) -> Path:
    return work / f"outputs-{number}-{start}.npz"


def _open_request(variant: Variant, input: str, rows: Path) -> dict[str, Any]:
    return {
        "do": "open",
        "model": str(variant.model),
        "engine": variant.engine,
        "device": variant.device,
        "threads": variant.threads,
        "options": dict(variant.options),
        "input": input,
        "rows": str(rows),
    }


def _read(path: Path, asked: _Answer) -> list[dict[str, Array]]:
    found: list[dict[str, Array]] = [{} for _ in range(asked.start, asked.stop)]
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            row, _, output = name.partition(":")
            found[int(row) - asked.start][output] = arrays[name]
    path.unlink()
    return found
