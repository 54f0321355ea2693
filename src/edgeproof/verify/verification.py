"""How right "the same person or not" is on pairs with known answers, as the LFW protocol has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import DataError, InputError

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]

FARS = (0.01, 0.001)
_ABOVE = 1e-6


@dataclass(frozen=True)
class Verification:
    """What pairs say about a face recognition network.

    Attributes:
        accuracy: mean over the folds; each is judged at the threshold that is best on all the others.
        std: of the folds' accuracies.
        threshold: the similarity that is best on all pairs together.
        folds: each fold's accuracy, in the order of their names.
        tar_at_far: the share of pairs of one person that is accepted, at each share of wrongly accepted pairs of
            two; None where there are too few pairs of two people to say.
        threshold_at_far: the similarity that belongs to each; None likewise.
        equal_error: where as many of the first are refused as of the second accepted.
        pairs, failed: how many, and how many of them without a similarity.
    """

    accuracy: float
    std: float
    threshold: float
    folds: tuple[float, ...]
    tar_at_far: dict[float, float | None]
    threshold_at_far: dict[float, float | None]
    equal_error: float
    pairs: int
    failed: int

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document of `faces verify`."""
        return {
            "accuracy": self.accuracy,
            "std": self.std,
            "threshold": self.threshold,
            "folds": list(self.folds),
            "tar_at_far": {f"{far:g}": tar for far, tar in self.tar_at_far.items()},
            "threshold_at_far": {f"{far:g}": value for far, value in self.threshold_at_far.items()},
            "equal_error": self.equal_error,
            "pairs": self.pairs,
            "failed": self.failed,
        }


def verify(similarities: ArrayLike, same: ArrayLike, folds: Sequence[Any]) -> Verification:
    """Judge similarities of pairs.

    A pair that has none (NaN: a face was not found) counts as wrong in the accuracy, as refused among the pairs of
    one person, and is left out of those of two, where its refusal would make the network look better.

    Arguments:
        similarities: (N,), NaN where a pair has none.
        same: (N,), whether each is of one person.
        folds: (N,), the fold of each, by any name. Pairs that are all of one are dealt out to ten.

    Raises:
        InputError: the three are not equally long.
        DataError: no pair, or none of one kind, has a similarity, or a fold would be judged by nothing.
    """
    values, truth = np.asarray(similarities, np.float64), np.asarray(same, np.bool_)
    if values.ndim != 1 or not len(values) == len(truth) == len(folds):
        raise InputError(
            f"There are {len(values)} similarities, {len(truth)} answers and {len(folds)} folds.",
            hint="Give one of each for every pair.",
        )
    known = ~np.isnan(values)
    genuine, impostor = values[known & truth], values[known & ~truth]
    if not len(genuine) or not len(impostor):
        kind = "the same person" if not len(genuine) else "different people"
        raise DataError(
            f"Of {len(values)} pairs none of {kind} could be compared.",
            hint="Both kinds are needed, with a face in each picture.",
        )
    accuracies = _by_folds(values, truth, _numbered(folds))
    thresholds = {far: threshold_at_far(impostor, far) for far in FARS}
    wanted = int(truth.sum())
    return Verification(
        accuracy=float(accuracies.mean()),
        std=float(accuracies.std()),
        threshold=best_threshold(values[known], truth[known]),
        folds=tuple(map(float, accuracies)),
        tar_at_far={
            far: None if value is None else float((genuine >= value).sum() / wanted)
            for far, value in thresholds.items()
        },
        threshold_at_far=thresholds,
        equal_error=equal_error(genuine, impostor),
        pairs=len(values),
        failed=int((~known).sum()),
    )


def _numbered(folds: Sequence[Any]) -> NDArray[np.intp]:
    _, numbers = np.unique(np.asarray(folds).astype(str), return_inverse=True)
    if numbers.max() > 0:
        return np.asarray(numbers, dtype=np.intp)
    count = min(10, len(numbers))
    return np.asarray(np.random.default_rng(0).permutation(np.arange(len(numbers)) % count), dtype=np.intp)


def right_by_folds(similarities: ArrayLike, same: ArrayLike, folds: Sequence[Any]) -> Booleans:
    """Whether each pair is told right, at the threshold that is best on all other folds.

    A pair without a similarity is wrong. Arguments and errors are those of `verify`.
    """
    values, truth = np.asarray(similarities, np.float64), np.asarray(same, np.bool_)
    return _right(values, truth, _numbered(folds))


def _by_folds(values: Doubles, truth: Booleans, folds: NDArray[np.intp]) -> Doubles:
    right = _right(values, truth, folds)
    return np.array([right[folds == fold].mean() for fold in range(folds.max() + 1)])


def _right(values: Doubles, truth: Booleans, folds: NDArray[np.intp]) -> Booleans:
    known = ~np.isnan(values)
    right = np.zeros(len(values), np.bool_)
    for fold in range(folds.max() + 1):
        here = folds == fold
        others = ~here & known
        if not others.any():
            raise DataError(
                f"No pair outside the fold {fold} could be compared, so it has no threshold.",
                hint="Give pairs in at least two folds, or all in one.",
            )
        threshold = best_threshold(values[others], truth[others])
        right[here] = ((values[here] >= threshold) == truth[here]) & known[here]
    return right


def best_threshold(similarities: ArrayLike, same: ArrayLike) -> float:
    """The similarity from which on "the same person" is right most often.

    It lies in the middle between two of those given; of several that are equally good, where they are farthest apart.
    """
    values, truth = np.asarray(similarities, np.float64), np.asarray(same, np.bool_)
    order = np.argsort(values)
    values, truth = values[order], truth[order]
    # right[i]: with the threshold just below values[i], and at the end above all of them.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum() - np.concatenate([[0], np.cumsum(truth)])
    # A little above the highest: a threshold must fit between, also where that is 1.
    padded = np.concatenate([[min(-1.0, values[0])], values, [max(1.0, values[-1] + _ABOVE)]])
    gaps = np.diff(padded)
    right[1:-1][gaps[1:-1] == 0] = -1  # no threshold lies between equal values
    best = np.flatnonzero(right == right.max())
    chosen = best[np.argmax(gaps[best])]
    return float((padded[chosen] + padded[chosen + 1]) / 2)


def threshold_at_far(impostors: ArrayLike, far: float) -> float | None:
    """The lowest similarity at which at most that share of pairs of two people is accepted.

    Arguments:
        impostors: (N,) similarities of pairs of two people.
        far: the wished false-accept rate, above 0 and below 1.

    Returns:
        None where N * far is below 1: then not even one wrong pair could be seen.
    """
    if not 0 < far < 1:
        raise InputError(f"The false-accept rate is {far}.", hint="Expected a share above 0 and below 1.")
    values = np.sort(np.asarray(impostors, np.float64))[::-1]
    allowed = int(len(values) * far + 1e-9)
    if allowed < 1:
        return None
    return float(np.nextafter(values[allowed], np.inf))


def roc(genuine: ArrayLike, impostor: ArrayLike) -> tuple[Doubles, Doubles, Doubles]:
    """Thresholds, falling, and the shares of impostor and of genuine pairs accepted at each."""
    one, two = (np.sort(np.asarray(values, np.float64)) for values in (genuine, impostor))
    thresholds = np.unique(np.concatenate([one, two]))[::-1]
    far, tar = (1 - np.searchsorted(values, thresholds) / len(values) for values in (two, one))
    return thresholds, far, tar


def equal_error(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """The equal error rate: the mean of the two where they come closest."""
    _, far, tar = roc(genuine, impostor)
    frr = 1 - tar
    nearest = int(np.argmin(abs(far - frr)))
    return float((far[nearest] + frr[nearest]) / 2)
