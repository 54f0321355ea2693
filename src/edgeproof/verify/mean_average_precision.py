"""COCO's mean average precision: over classes and overlaps of 0.5 to 0.95 (Lin et al. 2014, Microsoft COCO).

The rules are those of its own evaluation (github.com/cocodataset/cocoapi): at most 100 detections a picture and class,
each matched to the free box of the truth that it overlaps most; precision at 101 points of recall, under its envelope;
classes without a box left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

OVERLAPS = np.linspace(0.5, 0.95, 10)
# Areas in square pixels of the picture, both ends in.
SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 100
_AT_ONCE = 2_000_000  # numbers in one array of resamples: some 16 MB


@dataclass(frozen=True, eq=False)
class Truth:
    """What there is in one picture.

    Attributes:
        boxes: float64 (M, 4), xyxy in pixels.
        classes: int64 (M,).
        areas: float64 (M,), by which boxes are small or large; None: those of the boxes.
        crowd: bool (M,): a box around many things, which costs nobody anything; None: none.
    """

    boxes: Floats
    classes: NDArray[np.int64]
    areas: Floats | None = None
    crowd: Flags | None = None


@dataclass(frozen=True, eq=False)
class Answered:
    """What a detector found in one picture.

    Attributes:
        boxes: (N, 4), xyxy in pixels.
        scores: (N,).
        classes: int64 (N,).
        truth: what is there.
    """

    boxes: NDArray[np.floating[Any]]
    scores: NDArray[np.floating[Any]]
    classes: NDArray[np.int64]
    truth: Truth


@dataclass(frozen=True)
class MeanAveragePrecision:
    """The figures; None where there is no box to find.

    Attributes:
        map: over all overlaps.
        ap50, ap75: at one.
        by_size: `map` of small, medium and large boxes.
        per_class: `map` of each class that there is.
        per_class_50: `ap50` of each class.
        boxes: how many there are to find, crowds left out.
    """

    map: float | None
    ap50: float | None
    ap75: float | None
    by_size: dict[str, float | None]
    per_class: dict[int, float]
    per_class_50: dict[int, float]
    boxes: int


@dataclass(frozen=True, eq=False)
class _Pair:
    """One class in one picture: what was found, best first, and what there is.

    Attributes:
        scores, areas: (N,), of the detections.
        overlaps: (N, M), with what there is.
        crowd, truth_areas: (M,).
    """

    scores: Floats
    areas: Floats
    overlaps: Floats
    crowd: Flags
    truth_areas: Floats


class _Judged(NamedTuple):
    """The detections of a class: (N,) scores, and for each overlap (10, N) whether it is right, and doesn't count."""

    scores: Floats
    right: Flags
    ignored: Flags
    truths: int


def mean_average_precision(pictures: Sequence[Answered]) -> MeanAveragePrecision:
    """Judge the detections of a set of pictures.

    Raises:
        DataError: there is no picture, or no box in any.
    """
    pairs = _by_class(pictures)
    classes = list(pairs)
    curves: dict[str, dict[int, Floats]] = {}
    for name, limits in SIZES.items():
        found = {one: _precision([_judge(pair, limits) for _, pair in pairs[one]]) for one in classes}
        curves[name] = {one: value for one, value in found.items() if value is not None}
    whole = curves["all"]
    per_class = {one: float(value.mean()) for one, value in whole.items()}
    return MeanAveragePrecision(
        map=_mean(list(whole.values())),
        ap50=_mean([value[0] for value in whole.values()]),
        ap75=_mean([value[5] for value in whole.values()]),
        by_size={name: _mean(list(curves[name].values())) for name in ("small", "medium", "large")},
        per_class=per_class,
        per_class_50={one: float(value[0].mean()) for one, value in whole.items()},
        boxes=sum(_count(picture.truth) for picture in pictures),
    )


def resampled_map(pictures: Sequence[Answered], weights: NDArray[np.int64]) -> Floats:
    """`mean_average_precision(...).map` over resamples of the pictures.

    Arguments:
        weights: (resamples, pictures), how often each counts.

    Returns:
        (resamples,); a class without a box in a resample is left out of its mean, and a resample without any is 0.

    Raises:
        DataError: there is no picture, or no box in any.
    """
    total, counted = np.zeros(len(weights)), np.zeros(len(weights))
    for found in _by_class(pictures).values():
        of = [place for place, _ in found]
        parts = [_judge(pair, SIZES["all"]) for _, pair in found]
        truths = weights[:, of] @ np.array([part.truths for part in parts])
        drawn = np.repeat(weights[:, of], [len(part.scores) for part in parts], axis=1)
        order = np.argsort(-np.concatenate([part.scores for part in parts]), kind="stable")
        right = np.concatenate([part.right for part in parts], axis=1)[:, order]
        ignored = np.concatenate([part.ignored for part in parts], axis=1)[:, order]
        rows = np.flatnonzero(truths)
        for some in np.array_split(rows, 1 + rows.size * right.size // _AT_ONCE):
            total[some] += _resampled_precision(
                right & ~ignored, ~right & ~ignored, drawn[some][:, order], truths[some]
            )
        counted += truths > 0
    means: Floats = np.divide(total, counted, out=np.zeros_like(total), where=counted > 0)
    return means


def _resampled_precision(
    right: Flags, wrong: Flags, drawn: NDArray[np.int64], truths: NDArray[np.int64]
) -> Floats:
    """The mean of `_precision` in each resample, where each detection counts as often as its picture was drawn.

    Arguments:
        right, wrong: (overlaps, N), best first.
        drawn: (resamples, N).
        truths: (resamples,), above 0.
    """
    # Only where recall rises is precision read: at the detections that are right at some overlap.
    hits = np.flatnonzero(right.any(axis=0))
    if not len(hits):
        return np.zeros(len(drawn))
    good, bad = (np.cumsum(flags * drawn[:, None], axis=2)[..., hits] for flags in (right, wrong))
    precision = good / np.maximum(good + bad, np.spacing(1))
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    reached = np.searchsorted(_RECALLS, good / truths[:, None, None], side="right")
    points = np.diff(reached, axis=2, prepend=0)
    means: Floats = (envelope * points).sum(axis=(1, 2)) / (len(OVERLAPS) * len(_RECALLS))
    return means


def _by_class(pictures: Sequence[Answered]) -> dict[int, list[tuple[int, _Pair]]]:
    """What was found of each class that there is, and what there is: of each picture by its place."""
    classes = sorted({int(one) for picture in pictures for one in picture.truth.classes})
    if not classes:
        raise DataError("There is no box to find in any picture.", hint="Check the labels and their names.")
    pairs: dict[int, list[tuple[int, _Pair]]] = {one: [] for one in classes}
    for place, picture in enumerate(pictures):
        for one in set(picture.truth.classes.tolist()) | (set(picture.classes.tolist()) & pairs.keys()):
            pairs[one].append((place, _pair(picture, one)))
    return pairs


def _mean(values: Sequence[Floats]) -> float | None:
    return float(np.mean(values)) if values else None


def _count(truth: Truth) -> int:
    return len(truth.classes) - (0 if truth.crowd is None else int(truth.crowd.sum()))


def _pair(picture: Answered, kind: int) -> _Pair:
    truth, mine = picture.truth, picture.classes == kind
    there = truth.classes == kind
    scores = np.asarray(picture.scores, np.float64)[mine]
    order = np.argsort(-scores, kind="stable")[:_MOST]
    boxes = np.asarray(picture.boxes, np.float64)[mine][order]
    wanted = np.asarray(truth.boxes, np.float64)[there]
    crowd = np.zeros(len(wanted), bool) if truth.crowd is None else truth.crowd[there]
    areas = _areas(wanted) if truth.areas is None else truth.areas[there]
    return _Pair(scores[order], _areas(boxes), overlap(boxes, wanted, crowd), crowd, areas)


def _judge(pair: _Pair, limits: tuple[float, float]) -> _Judged:
    low, high = limits
    free = pair.crowd | (pair.truth_areas < low) | (pair.truth_areas > high)
    last = np.argsort(free, kind="stable")  # what counts comes first
    right, ignored = _greedy(pair.overlaps[:, last], pair.crowd[last], free[last])
    ignored |= ~right & ((pair.areas < low) | (pair.areas > high))
    return _Judged(pair.scores, right, ignored, int((~free).sum()))


def _greedy(overlaps: Floats, crowd: Flags, free: Flags) -> tuple[Flags, Flags]:
    """Whether each detection, best first, has a match at each overlap, and whether that is one that doesn't count.

    Arguments:
        overlaps: (detections, truths).
        crowd, free: (truths,); those that are free don't count and come last.
    """
    shape = (len(OVERLAPS), len(overlaps))
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    if not overlaps.size:
        return matched, ignored
    least = np.minimum(OVERLAPS, 1 - 1e-10)
    taken = np.zeros((len(OVERLAPS), len(free)), bool)
    for row in np.flatnonzero(overlaps.max(axis=1) >= least[0]):
        line = overlaps[row]
        can = (line[None] >= least[:, None]) & (~taken | crowd)
        counts = (can & ~free).any(axis=1)
        can &= np.where(counts[:, None], ~free, free)
        # Of equal overlaps the last one, as in COCO's own loop.
        best = len(free) - 1 - np.argmax(np.where(can, line, -1.0)[:, ::-1], axis=1)
        hit = can.any(axis=1)
        taken[hit, best[hit]] = True
        matched[:, row], ignored[:, row] = hit, hit & free[best]
    return matched, ignored


def overlap(boxes: Floats, wanted: Floats, crowd: Flags) -> Floats:
    """Intersection over union (N, M); for a crowd, over the detection's own area."""
    low = np.maximum(boxes[:, None, :2], wanted[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], wanted[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    own = np.broadcast_to(_areas(boxes)[:, None], shared.shape)
    whole = np.where(crowd[None], own, own + _areas(wanted)[None] - shared)
    found: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return found


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return areas


def _precision(parts: Sequence[_Judged]) -> Floats | None:
    """Precision (overlaps, recalls) of one class; None where it has no box that counts."""
    truths = sum(part.truths for part in parts)
    if not truths:
        return None
    made = np.zeros((len(OVERLAPS), len(_RECALLS)))
    order = np.argsort(-np.concatenate([part.scores for part in parts]), kind="stable")
    right = np.concatenate([part.right for part in parts], axis=1)[:, order]
    counted = ~np.concatenate([part.ignored for part in parts], axis=1)[:, order]
    true, false = np.cumsum(right & counted, axis=1), np.cumsum(~right & counted, axis=1)
    for row, (good, bad) in enumerate(zip(true.astype(float), false.astype(float), strict=True)):
        if not len(good):
            continue
        precision = good / np.maximum(good + bad, np.spacing(1))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(good / truths, _RECALLS, side="left")
        made[row, places < len(good)] = envelope[places[places < len(good)]]
    return made
