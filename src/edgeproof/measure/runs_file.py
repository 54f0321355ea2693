"""RUNS.json: what `bench` measured, raw, with the machine it was measured on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edgeproof.core.errors import DataError
from edgeproof.core.files import storage_error, write_atomically
from edgeproof.measure.validity import Conditions

FORMAT = 1
_MAX_BYTES = 512 << 20
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class Arrived(msgspec.Struct, frozen=True):
    """What became of the arrivals of one block at a fixed rate; see `timing.Arrivals`."""

    arrived: int
    dropped: int
    late: int
    seconds: float


class Block(msgspec.Struct, frozen=True):
    """Runs of one process, timed one after another.

    Attributes:
        process: its number, from 0.
        latency_ms: of each run.
        waited: share of the time in which its threads were ready and had no core, one thread's worth; None if unknown.
        mhz: the clock of its core at the end; None if unknown.
        stages_ms: of a task, each stage of each run.
        arrivals: at a fixed rate, what became of them.
        found: of a task, how many results all runs gave, such as faces.
    """

    process: int
    latency_ms: list[_Positive]
    waited: float | None = None
    mhz: float | None = None
    stages_ms: dict[str, list[float]] = {}
    arrivals: Arrived | None = None
    found: int | None = None


class EnergyRecord(msgspec.Struct, frozen=True):
    """What a meter showed while runs followed one another, all blocks of it together.

    Attributes:
        meter, scope, interval_s: the meter's name, what it covers, how often it has a new value; None without one.
        joules, runs, seconds: measured; None where nothing was.
        idle_watts: the machine's power at rest, which `joules` includes.
        reason: why joules is None.
    """

    meter: str | None = None
    scope: str | None = None
    interval_s: float | None = None
    joules: float | None = None
    runs: int = 0
    seconds: float = 0.0
    idle_watts: float | None = None
    reason: str | None = "no meter"


class Measured(msgspec.Struct):
    """One variant, and everything that was measured of it.

    Attributes:
        id: unique in its file.
        target: as the user named it.
        info: what really ran: engine, version, provider, precision, threads.
        cold_s, load_s, first_ms: one for each process.
        memory_mb: peaks by phase, the largest of all processes; "pss" beside them.
        error: why it could not be measured (further).
        notes: what a reader must know, such as inputs made by chance.
    """

    id: str
    target: str
    engine: str
    device: str
    threads: int
    batch: int
    options: dict[str, Any] = {}
    task: str | None = None
    info: dict[str, Any] = {}
    cold_s: list[float] = []
    load_s: list[float] = []
    first_ms: list[float] = []
    memory_mb: dict[str, float | None] = {}
    blocks: list[Block] = []
    energy: EnergyRecord = EnergyRecord()
    error: dict[str, str] | None = None
    notes: list[str] = []

    def processes(self) -> list[list[list[float]]]:
        """Of each process its blocks, of each block its latencies in ms."""
        count = 1 + max((block.process for block in self.blocks), default=-1)
        found: list[list[list[float]]] = [[] for _ in range(count)]
        for block in self.blocks:
            found[block.process].append(block.latency_ms)
        return found

    def latencies_ms(self) -> list[float]:
        """All of them, in the order they were measured."""
        return [value for block in self.blocks for value in block.latency_ms]


class RunsFile(msgspec.Struct):
    """The whole file.

    Attributes:
        complete: false until everything that was planned is measured.
        settings: how it was measured: processes, runs or seconds, rate, seed.
        host: the fingerprint of the machine.
        conditions: of each generation of processes; all variants were measured in each.
    """

    format: int
    edgeproof: str
    created: str
    settings: dict[str, Any]
    host: dict[str, Any]
    complete: bool = False
    conditions: list[Conditions] = []
    variants: list[Measured] = []


class _Version(msgspec.Struct):
    format: int


def write_runs(path: str | os.PathLike[str], runs: RunsFile) -> None:
    """Write it whole or not at all; errors as `write_atomically`."""
    write_atomically(path, msgspec.json.encode(runs) + b"\n")


def read_runs(path: str | os.PathLike[str]) -> RunsFile:
    """Read a file of runs.

    Raises:
        NotFoundError, StorageError: it isn't there, or can't be read.
        DataError: it is cut short, no file of runs, or made by a newer edgeproof.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise storage_error(file, FileNotFoundError(2, "not there"))
        if file.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"{file} is larger than {_MAX_BYTES >> 20} MB.", hint="Measure fewer variants in one go."
            )
        data = file.read_bytes()
    except OSError as error:
        raise storage_error(file, error) from error
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            f"{file} is cut short, or no file of runs: {error}.",
            hint="Copy it again, or make one: edgeproof bench MODEL --out RUNS.json",
        ) from error
    if version > FORMAT:
        raise DataError(
            f"{file} has format {version}; this edgeproof reads up to {FORMAT}.",
            hint="Update it: pip install -U edgeproof",
        )
    try:
        runs = msgspec.json.decode(data, type=RunsFile)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DataError(f"{file} is no whole file of runs: {error}.", hint="Measure again.") from error
    _check(file, runs.variants)
    return runs


def _check(file: Path, variants: Sequence[Measured]) -> None:
    ids = [variant.id for variant in variants]
    if len(set(ids)) != len(ids) or any(
        not 0 <= block.process < 10_000 for variant in variants for block in variant.blocks
    ):
        raise DataError(f"{file} contradicts itself: it was changed by hand.", hint="Measure again.")
