"""The accuracy gate: every file against the original on the evidence photos, paired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeproof.core.errors import EdgeproofError, ModelError
from edgeproof.core.tensor import Array
from edgeproof.fit.answers import Part, outputs_in_parts
from edgeproof.fit.data import FitData
from edgeproof.fit.result import Accuracy, Row
from edgeproof.fit.target import Target
from edgeproof.fit.targets.protocol import Score
from edgeproof.fit.wording import metric_name
from edgeproof.measure.runs import Variant
from edgeproof.verify.outputs import OutputDifference, compare_outputs
from edgeproof.verify.paired import Drop, judge_drop, paired_drop
from edgeproof.verify.resampling import bootstrap_drop

# Below this share of the largest output only the order of additions differs: it is the same computation, of
# which no photo needs to convince us, unless the metric says otherwise.
SAME_OUTPUTS = 1e-4
_SAME_METRIC = 1e-4
_GOLDEN_ROWS = 4

# What answers alike, whatever the threads: the file, the engine, and what it computes in.
_Answers = tuple[Path, str, str | None]


@dataclass
class _Gathered:
    """What one file answered so far."""

    answers: list[Any] = field(default_factory=list)
    golden: list[dict[str, Array]] = field(default_factory=list)
    differences: dict[str, OutputDifference] = field(default_factory=dict)
    error: EdgeproofError | None = None


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
    parts = outputs_in_parts(
        list(variants.values()),
        target.input,
        data.rows,
        data.places,
        work,
        side_by_side=side_by_side,
        memory_mb=memory_mb,
    )
    gathered = _gather(target, parts, data, len(variants), progress)
    reference = gathered[0]
    if reference.error:
        raise reference.error  # without the original's answers there is nothing to compare with
    before = _scores(target, data, reference, reference)
    known: dict[_Answers, Accuracy | EdgeproofError] = {}
    for kind, one in zip(variants, gathered, strict=True):
        known[kind] = one.error or _compare(target, data, before, reference, one, limit)
    for row in rows:
        _judge(row, known[_answers(row)])


def distinct_answers(rows: Sequence[Row]) -> int:
    """How many files `verify_files` compares."""
    return len({_answers(row) for row in rows})


def _answers(row: Row) -> _Answers:
    assert row.built is not None
    return row.built.model, row.candidate.engine, row.candidate.computes


def _gather(
    target: Target, parts: Iterable[Part], data: FitData, count: int, progress: Callable[[], None]
) -> list[_Gathered]:
    """The answers of each variant, and how far its outputs are from the first one's; raises when that has none."""
    gathered = [_Gathered() for _ in range(count)]
    views = [view for photo in data.views for view in photo]
    reference: list[dict[str, Array]] = []
    for part in parts:
        one, first = gathered[part.variant], part.start - data.first
        if one.error:
            continue
        try:
            if isinstance(part.outputs, EdgeproofError):
                raise part.outputs
            if part.variant == 0:
                reference = part.outputs
            for place, outputs in enumerate(part.outputs):
                one.answers.append(target.task.answer(outputs, views[first + place]))
                _note_differences(one, compare_outputs(reference[place], outputs))
                if len(one.golden) < _GOLDEN_ROWS and first + place < _GOLDEN_ROWS:
                    one.golden.append(outputs)
        except EdgeproofError as error:
            one.error = error
            if part.variant == 0:
                break
        if len(one.answers) == len(views):
            progress()
    return gathered


def _note_differences(one: _Gathered, found: Sequence[OutputDifference]) -> None:
    for new in found:
        old = one.differences.get(new.output, new)
        one.differences[new.output] = OutputDifference(
            new.output,
            max(old.max_abs, new.max_abs),
            max(old.max_rel, new.max_rel),
            min(old.cosine, new.cosine),
        )


def _scores(target: Target, data: FitData, one: _Gathered, reference: _Gathered) -> Sequence[Score]:
    by_photo = []
    for gathered in (one, reference):
        waiting = iter(gathered.answers)
        by_photo.append([[next(waiting) for _ in views] for views in data.views])
    return target.task.score(data.paths, data.views, *by_photo)


def _compare(
    target: Target,
    data: FitData,
    before: Sequence[Score],
    reference: _Gathered,
    one: _Gathered,
    limit: float,
) -> Accuracy | EdgeproofError:
    """One file against the original; of several metrics the one that says the worst."""
    try:
        after = before if one is reference else _scores(target, data, one, reference)
    except EdgeproofError as error:
        return error
    differences = list(one.differences.values())
    alike = one is reference or all(difference.max_rel <= SAME_OUTPUTS for difference in differences)
    found = [_judged(*pair, differences, limit, alike=alike) for pair in zip(before, after, strict=True)]
    worst = max(found, key=_badness)
    others = [other for other in found if other is not worst]
    return replace(worst, answers=one.answers, golden=one.golden, others=others)


def _judged(
    before: Score, after: Score, differences: Sequence[OutputDifference], limit: float, *, alike: bool
) -> Accuracy:
    drop = None if alike and _same(before, after) else _drop(before, after)
    verdict, needed = ("pass", None) if drop is None else judge_drop(drop, limit)
    return Accuracy(
        name=after.name,
        unit=after.unit,
        value=after.value,
        baseline=before.value,
        drop=drop,
        agreement=after.agreement,
        differences=differences,
        verdict=verdict,
        needed=needed,
    )


def _same(before: Score, after: Score) -> bool:
    if before.views is not None and after.views is not None:
        return bool((before.views == after.views).all())
    return abs(before.value - after.value) <= _SAME_METRIC


def _drop(before: Score, after: Score) -> Drop:
    if before.views is not None and after.views is not None:
        return paired_drop(before.views, after.views, members=before.members)
    if before.resampled is None or after.resampled is None:
        raise ModelError(
            f"The task gave no figures of {after.name}.", hint="Report this: the task is at fault."
        )
    return bootstrap_drop(before.resampled, after.resampled, before.count)


def _badness(found: Accuracy) -> tuple[int, float]:
    order = {"pass": 0, "not enough evidence": 1, "fail": 2}
    return order[found.verdict], found.ci[1]


def _judge(row: Row, found: Accuracy | EdgeproofError) -> None:
    if isinstance(found, EdgeproofError):
        row.fail(found)
        return
    row.accuracy = found
    if found.drop is None:
        return
    low, high = (f"{100 * end:+.2f}" for end in found.ci)
    seen = f"drop in {metric_name(found.name)} {100 * found.drop.drop:+.2f} % ({low} to {high})"
    if found.verdict == "fail":
        row.refuse(f"accuracy: {seen}")
    elif found.verdict == "not enough evidence":
        needed = (
            f"about {found.needed:,} {found.unit} would settle it"
            if found.needed
            else f"no number of {found.unit} can be promised to settle it"
        )
        row.refuse(f"accuracy not proven: {seen} on {found.drop.photos} {found.unit}; {needed}")
