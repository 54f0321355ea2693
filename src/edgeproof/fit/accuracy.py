"""The accuracy gate: every file against the original on the evidence photos, paired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgeproof.core.errors import EdgeproofError
from edgeproof.core.tensor import Array
from edgeproof.fit.data import FitData
from edgeproof.fit.result import Accuracy, Row
from edgeproof.fit.target import Target
from edgeproof.measure.runs import Variant, outputs_of
from edgeproof.verify.outputs import compare_outputs
from edgeproof.verify.paired import judge_drop, paired_drop

# Below this share of the largest output only the order of additions differs: it is the same computation, of
# which no photo needs to convince us.
SAME_OUTPUTS = 1e-4

# What answers alike, whatever the threads: the file, the engine, and what it computes in.
_Answers = tuple[Path, str, str | None]


def verify_files(
    target: Target,
    rows: Sequence[Row],
    data: FitData,
    limit: float,
    work: Path,
    *,
    side_by_side: int,
    memory_mb: int | None,
    progress: Callable[[], None],
) -> None:
    """Fill in `accuracy` of every row and refuse those that may have lost more than `limit`.

    Arguments:
        rows: the baseline first. Rows that differ in threads only share one comparison.
        limit: of the drop, as a fraction.
    """
    variants: dict[_Answers, Variant] = {}
    for row in rows:
        assert row.run is not None
        variants.setdefault(_answers(row), row.run.variant)
    answers = outputs_of(
        list(variants.values()),
        {target.input: data.evidence},
        work,
        side_by_side=side_by_side,
        memory_mb=memory_mb,
        progress=progress,
    )
    reference = answers[0]
    if isinstance(reference, EdgeproofError):
        raise reference  # without the original's answers there is nothing to compare with
    known: dict[_Answers, Accuracy | EdgeproofError] = {}
    for kind, answer in zip(variants, answers, strict=True):
        try:
            known[kind] = (
                answer
                if isinstance(answer, EdgeproofError)
                else compare(target, reference, answer, data, limit)
            )
        except EdgeproofError as error:
            known[kind] = error
    for row in rows:
        _judge(row, known[_answers(row)])


def distinct_answers(rows: Sequence[Row]) -> int:
    """How many comparisons `verify_files` makes."""
    return len({_answers(row) for row in rows})


def _answers(row: Row) -> _Answers:
    assert row.built is not None
    return row.built.model, row.candidate.engine, row.candidate.computes


def compare(
    target: Target, reference: dict[str, Array], outputs: dict[str, Array], data: FitData, limit: float
) -> Accuracy:
    """One file's outputs on the evidence rows against the original's."""
    differences = compare_outputs(reference, outputs)
    truth = data.truth.ravel()
    before = target.task.score(reference, truth).reshape(data.truth.shape)
    after = target.task.score(outputs, truth).reshape(data.truth.shape)
    same = all(one.max_rel <= SAME_OUTPUTS for one in differences) and bool((before == after).all())
    drop = None if same else paired_drop(before, after)
    verdict, needed = ("pass", None) if drop is None else judge_drop(drop, limit)
    first = next(iter(reference))
    return Accuracy(
        name=target.task.metric_name,
        value=float(after.mean()),
        baseline=float(before.mean()),
        drop=drop,
        agreement=float(np.mean(reference[first].argmax(axis=1) == outputs[first].argmax(axis=1))),
        differences=differences,
        verdict=verdict,
        photos_needed=needed,
        outputs=outputs,
    )


def _judge(row: Row, found: Accuracy | EdgeproofError) -> None:
    if isinstance(found, EdgeproofError):
        row.fail(found)
        return
    row.accuracy = found
    if found.drop is None:
        return
    low, high = (f"{100 * end:+.2f}" for end in found.ci)
    seen = f"{100 * found.drop.drop:+.2f} % ({low} to {high})"
    if found.verdict == "fail":
        row.refuse(f"accuracy: drop {seen}")
    elif found.verdict == "not enough evidence":
        needed = (
            f"about {found.photos_needed:,} photos would settle it"
            if found.photos_needed
            else "no number of photos can be promised to settle it"
        )
        row.refuse(f"accuracy not proven: drop {seen} on {found.drop.photos} photos; {needed}")
