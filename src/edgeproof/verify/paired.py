"""The accuracy gate: what a candidate lost against the original on the same photos, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import DataError, InputError, UsageError

Verdict = Literal["pass", "fail", "not enough evidence"]

_FEWEST_CHANGED = 5  # photos; from fewer, how alike the views of a photo are can't be estimated
_MOST_PHOTOS = 10_000_000


@dataclass(frozen=True)
class Drop:
    """What a candidate lost in accuracy, with its confidence interval; rates are fractions, 0.01 for 1 point.

    Attributes:
        drop: figure of the baseline less that of the candidate; below 0 where the candidate is better.
        low: lower end of the interval.
        high: upper end of the interval.
        confidence: of the interval.
        photos: how many; the unit that is independent.
        views: how many in all, of all photos.
        lost: views that were right and are wrong now (graded scores: that score less).
        gained: views that were wrong and are right now (graded scores: that score more).
        changed: mean absolute change of a view; (lost + gained) / views for right and wrong.
        effective_views: as many independent views would say as much as these.
        p_value: of the exact two-sided sign test over photos, against "as many lose as gain".
        spread: the standard error of a bootstrap; None where the views' own changes tell it. With it, lost, gained,
            changed and p_value are None.
    """

    drop: float
    low: float
    high: float
    confidence: float
    photos: int
    views: int
    lost: int | None
    gained: int | None
    changed: float | None
    effective_views: float
    p_value: float | None
    spread: float | None = None


def paired_drop(
    baseline: ArrayLike,
    candidate: ArrayLike,
    confidence: float = 0.95,
    *,
    members: ArrayLike | None = None,
) -> Drop:
    """Compare two networks on the same views of the same photos.

    The interval is the score interval for the difference of paired proportions (Tango 1998, "Equivalence
    test and confidence interval for the difference in proportions for the paired-sample design"), which stays
    right where few views changed or none. The views of one photo are not independent: the sample counts as
    views / deff, deff being the variance between photos over that of independent views (Kish 1965, "Survey
    sampling", 8.2), at least 1, at most the views of a photo, and that most where fewer than 5 photos
    changed. Graded scores vary less than right and wrong do, so their deff may be below 1; for them the
    interval supposes a few dozen photos. The p-value is McNemar's exact test with the photo as the unit: the
    sign of its net change.

    Arguments:
        baseline: (photos, views), 1 for right and 0 for wrong, or a score from 0 to 1; bool or numbers.
        candidate: the same, of the same views in the same places.
        confidence: a fraction.
        members: (photos, m), for "photos" that are groups of pictures, such as pairs: the numbers of the pictures of
            each. Groups that share a picture are not independent; the sample counts as much less as the variance with
            their products in it is larger than without (Aronow et al. 2015, "Cluster-robust variance estimation for
            dyadic data").

    Raises:
        DataError: no photos, or no views.
        InputError: shapes that differ or aren't (photos, views), or a score outside 0 to 1.
        UsageError: the confidence is not strictly between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise UsageError(
            f"The confidence is {confidence}.", hint="Give a fraction between 0 and 1: 0.95 for 95 %."
        )
    before, after = _scores("baseline", baseline), _scores("candidate", candidate)
    if before.shape != after.shape:
        raise InputError(
            f"The baseline has scores {list(before.shape)}, the candidate {list(after.shape)}.",
            hint="Run both on the same views of the same photos.",
        )
    if not before.size:
        raise DataError(
            "There are no photos to compare on.", hint="Give photos that were not used for calibration."
        )
    change = before - after
    net = change.sum(axis=1)
    # Sums of graded scores that cancel leave a rounding error, which is no change of that photo.
    worse, better = int((net > 1e-9).sum()), int((net < -1e-9).sum())
    drop, changed = float(change.mean()), float(np.abs(change).mean())
    graded = bool(((before % 1.0 != 0.0) | (after % 1.0 != 0.0)).any())
    effective = _effective_views(change, graded=graded)
    if members is not None:
        effective /= _shared_pictures(change.mean(axis=1), np.asarray(members, np.intp))
    low, high = _score_interval(drop, changed, effective, confidence)
    return Drop(
        drop=drop,
        low=low,
        high=high,
        confidence=confidence,
        photos=len(change),
        views=change.size,
        lost=int((change > 0.0).sum()),
        gained=int((change < 0.0).sum()),
        changed=changed,
        effective_views=effective,
        p_value=_sign_test(worse, better),
    )


def judge_drop(drop: Drop, limit: float) -> tuple[Verdict, int | None]:
    """Whether a drop is proven to be under a limit, proven to be over it, or neither.

    Arguments:
        drop: what `paired_drop` found.
        limit: the largest drop that is acceptable, as a fraction: 0.01 for 1 point.

    Returns:
        The verdict: "pass" where the whole interval is below the limit, "fail" where it is above. With "not
        enough evidence" comes how many photos in all would settle it if the rates stay as seen, or None where
        no number up to 10 million would (the estimate stands at the limit).

    Raises:
        UsageError: the limit is not between -1 and 1.
    """
    if not -1.0 <= limit <= 1.0:
        raise UsageError(f"The limit of the drop is {limit}.", hint="Give a fraction: 0.01 for 1 %.")
    if drop.high < limit:
        return "pass", None
    if drop.low > limit:
        return "fail", None

    def settles(photos: int) -> bool:
        low, high = _interval_of(drop, photos)
        return high < limit or low > limit

    low, high = drop.photos, _MOST_PHOTOS
    if low >= high or not settles(high):
        return "not enough evidence", None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return "not enough evidence", high


def _interval_of(drop: Drop, photos: int) -> tuple[float, float]:
    """The interval that as many photos would give if the rates stay as seen."""
    if drop.spread is not None:
        return spread_interval(drop.drop, drop.spread, drop.photos, photos, drop.confidence)
    assert drop.changed is not None
    effective = drop.effective_views * photos / drop.photos
    return _score_interval(drop.drop, drop.changed, effective, drop.confidence)


def spread_interval(
    drop: float, spread: float, seen: int, photos: int, confidence: float
) -> tuple[float, float]:
    """The interval on `photos` photos of a drop whose standard error on `seen` of them is `spread`.

    One photo unlike all that were seen could move the figure by 1 / photos, which is added to the error's square.
    """
    error = math.sqrt(spread**2 * seen / photos + 1.0 / photos**2)
    reach = -NormalDist().inv_cdf((1.0 - confidence) / 2.0) * error
    return drop - reach, drop + reach


def _shared_pictures(change: NDArray[np.float64], members: NDArray[np.intp]) -> float:
    """How many times the variance of independent groups that of groups which share pictures is; at least 1."""
    away = change - change.mean()
    alone = float((away**2).sum())
    sums = np.zeros(int(members.max(initial=-1)) + 1)
    np.add.at(sums, members, away[:, None])
    # Each picture's sum squared has all products of the groups it is in; a group itself is in that of each member.
    together = float((sums**2).sum()) - (members.shape[1] - 1) * alone
    return max(1.0, together / alone) if alone > 0 else 1.0


def _score_interval(drop: float, changed: float, n: float, confidence: float) -> tuple[float, float]:
    """Tango's interval, in rates: Δ where (drop - Δ) / its standard error under Δ is the normal quantile."""
    z = -NormalDist().inv_cdf((1.0 - confidence) / 2.0)
    gain = max(0.0, (changed - drop) / 2.0)

    def within(delta: float) -> bool:
        # The rate of gains most likely if the true drop were delta (Tango 1998, appendix).
        b = delta * (2.0 - drop) - changed
        c = -gain * delta * (1.0 - delta)
        rate = max(0.0, (math.sqrt(max(0.0, b * b - 8.0 * c)) - b) / 4.0)
        variance = max(0.0, 2.0 * rate + delta * (1.0 - delta))
        return n * (drop - delta) ** 2 <= z * z * variance

    return _edge(within, drop, -1.0), _edge(within, drop, 1.0)


def _edge(within: Callable[[float], bool], inside: float, outside: float) -> float:
    if within(outside):
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if within(middle) else (inside, middle)
    return outside


def _effective_views(change: NDArray[np.float64], *, graded: bool) -> float:
    photos = len(change)
    moved = int((change != 0.0).any(axis=1).sum())
    means = change.mean(axis=1)
    between = float(means.var(ddof=1)) / photos if photos > 1 else 0.0
    independent = float(np.abs(change).mean() - change.mean() ** 2)
    if moved < _FEWEST_CHANGED or between <= 1e-12 * independent or independent <= 0.0:
        return float(photos)
    return max(float(photos), min(independent / between, math.inf if graded else float(change.size)))


def _sign_test(worse: int, better: int) -> float:
    n = worse + better
    log_ways = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        for k in range(min(worse, better) + 1)
    )
    return min(1.0, 2.0 * math.fsum(math.exp(ways - n * math.log(2.0)) for ways in log_ways))


def _scores(name: str, scores: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The scores of the {name} are no table of numbers: {error}.",
            hint="Expected (photos, views), as many views of each photo.",
        ) from error
    if array.ndim != 2 or not ((array >= 0.0) & (array <= 1.0)).all():
        raise InputError(
            f"The scores of the {name}, of shape {list(array.shape)}, are not (photos, views) from 0 to 1.",
            hint="With one view of each photo use scores[:, None].",
        )
    return array
