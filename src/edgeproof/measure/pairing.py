"""Which variants of two files of runs are compared with each other, and whether they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError, UsageError
from edgeproof.measure.comparison import Comparison, compare
from edgeproof.measure.runs_file import Measured, RunsFile
from edgeproof.measure.summary import against_first

# What makes another machine; a kernel, a governor or a library that differs is told and compared all the same.
_MACHINE = ("board", "processor", "isa", "cores", "memory_mb", "memory_limit_mb", "cpu_quota")
_MOST_WAITED = 0.95
_MEMORY_MB = 64  # the kernel keeps a little more or less for itself from start to start


@dataclass(frozen=True)
class Compared:
    """What two files come to.

    Attributes:
        pairs: a variant of the first, one of the second, and the second against the first.
        unpaired: ids with runs that the other file has no partner for.
        notes: what a reader must know.
    """

    pairs: list[tuple[Measured, Measured, Comparison]]
    unpaired: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare_files(a: RunsFile, b: RunsFile | None, *, across_hosts: bool = False) -> Compared:
    """The variants of b against those of a; without b, those of a against its first.

    Raises:
        UsageError: they were measured on different machines, or in different ways.
        DataError: nothing in them can be paired.
    """
    if b is None:
        pairs = against_first(a.variants)
        if not pairs:
            raise DataError(
                "The file has fewer than two variants with runs.",
                hint="Give a second file, or measure two targets at once: edgeproof bench A B --out RUNS.json",
            )
        return Compared(pairs, notes=_incomplete(a))
    notes = _check_hosts(a.host, b.host, across_hosts=across_hosts)
    if (a.settings.get("rate_hz") is None) != (b.settings.get("rate_hz") is None):
        raise UsageError(
            "One was measured at a fixed rate and the other one run after another.",
            hint="These are different quantities: measure both in the same way.",
        )
    found = _partners(a, b)
    if not found:
        raise DataError(
            f"No variant of one is in the other: {_ids(a)} against {_ids(b)}.",
            hint="Measure the same targets with the same engines, threads and batch sizes.",
        )
    moved = _moved(a, b)
    pairs = [
        (
            one,
            two,
            compare(
                two.processes(),
                one.processes(),
                together=False,
                moved=moved,
                waited=_stretch(two) / _stretch(one),
            ),
        )
        for one, two in found
    ]
    taken = {id(variant) for pair in found for variant in pair}
    unpaired = [v.id for file in (a, b) for v in file.variants if id(v) not in taken]
    return Compared(pairs, unpaired, [*notes, *_incomplete(a), *_incomplete(b)])


def _partners(a: RunsFile, b: RunsFile) -> list[tuple[Measured, Measured]]:
    """By id; where none agree and each file has one target, by engine, threads and batch; a single one by itself."""
    ours, theirs = ([v for v in file.variants if v.blocks] for file in (a, b))
    by_id = {variant.id: variant for variant in theirs}
    found = [(variant, by_id[variant.id]) for variant in ours if variant.id in by_id]
    if found or not ours or not theirs:
        return found
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    if any(len({variant.target for variant in side}) > 1 for side in (ours, theirs)):
        return []
    by_way = {(v.engine, v.device, v.threads, v.batch): v for v in theirs}
    ways = [(v, by_way.get((v.engine, v.device, v.threads, v.batch))) for v in ours]
    return [(one, two) for one, two in ways if two is not None]


def _check_hosts(a: Mapping[str, Any], b: Mapping[str, Any], *, across_hosts: bool) -> list[str]:
    differing = [name for name in _MACHINE if not _same(name, a.get(name), b.get(name))]
    if differing and not across_hosts:
        name = differing[0]
        raise UsageError(
            f"They were measured on different machines: {name} is {a.get(name)} and {b.get(name)}.",
            hint="Measure both on one machine, or add --across-hosts to compare the machines.",
        )
    notes = [f"Different machines: {name} is {a.get(name)} and {b.get(name)}." for name in differing]
    ours, theirs = (
        {name: host.get(name) for name in ("kernel", "governor", "python")}
        | dict(host.get("libraries") or {})
        for host in (a, b)
    )
    other = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return notes + [f"Another {name}: {ours.get(name)} and {theirs.get(name)}." for name in other]


def _same(name: str, one: Any, other: Any) -> bool:
    if name == "memory_mb" and isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) <= _MEMORY_MB
    return bool(one == other)


def _moved(a: RunsFile, b: RunsFile) -> float:
    """How many times longer the reference load took with b than with a; 1 where one has none."""
    ours, theirs = ([ms for one in file.conditions for ms in one.reference_ms] for file in (a, b))
    return float(np.median(theirs) / np.median(ours)) if ours and theirs else 1.0


def _stretch(variant: Measured) -> float:
    """How many times longer it took than had its threads never waited for a core; 1 where nobody counted."""
    shares = [block.waited / variant.threads for block in variant.blocks if block.waited is not None]
    return 1 / (1 - min(_MOST_WAITED, float(np.mean(shares)))) if shares else 1.0


def _incomplete(file: RunsFile) -> list[str]:
    return [] if file.complete else [f"The file of {file.created} is of a measurement that ended early."]


def _ids(file: RunsFile) -> str:
    return ", ".join(variant.id for variant in file.variants[:4]) or "none"
