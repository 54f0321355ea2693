"""From probabilities to an age with its interval, a gender, and whether to believe them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeproof.core.attributes import AgeEstimate, Bucket, GenderEstimate
from edgeproof.tasks.attributes.family import GENDERS, Probabilities

# Of 1,000 faces of FairFace these two leave 13 in 100 as unsure, and of the rest 95.7 % get the right gender and
# 95.1 % an age bucket within one. data/attributes.md has other thresholds.
GENDER_THRESHOLD = 0.75
NEAR_THRESHOLD = 0.8
_INTERVAL = 0.8


def age_of(probabilities: Probabilities, buckets: Sequence[Bucket]) -> AgeEstimate:
    """An age from the probabilities (buckets,) of its buckets.

    Its years are the expected value of the buckets' centres; the interval leaves 10 % on either side, with ages
    spread evenly within each bucket.
    """
    best = int(probabilities.argmax())
    edges = [bucket.low for bucket in buckets] + [buckets[-1].high]
    upto = np.concatenate([[0.0], np.cumsum(probabilities)])
    tail = (1 - _INTERVAL) / 2
    low, high = np.interp((tail, 1 - tail), upto, edges)
    return AgeEstimate(
        bucket=buckets[best].name,
        years=float(probabilities @ [bucket.centre for bucket in buckets]),
        low=float(low),
        high=float(high),
        probability=float(probabilities[best]),
        near=min(1.0, float(probabilities[max(0, best - 1) : best + 2].sum())),
    )


def age_in_years(years: float, buckets: Sequence[Bucket]) -> AgeEstimate:
    """An age of a network that tells years only."""
    return AgeEstimate(bucket_of(years, buckets).name, years)


def bucket_of(years: float, buckets: Sequence[Bucket]) -> Bucket:
    """The bucket that an age lies in; one above them all lies in the last."""
    return next((bucket for bucket in buckets if years < bucket.high), buckets[-1])


def gender_of(probabilities: Probabilities) -> GenderEstimate:
    """A gender from probabilities (2,) in the order of `GENDERS`."""
    best = int(probabilities.argmax())
    return GenderEstimate(GENDERS[best], min(1.0, float(probabilities[best])))


def unsure(age: AgeEstimate | None, gender: GenderEstimate | None, threshold: float) -> bool:
    """Whether a face's answers are too weak to be shown.

    Arguments:
        threshold: the probability that a gender needs. An age's bucket and its neighbours need 0.8 together.
    """
    weak = gender is not None and gender.probability < threshold
    wide = age is not None and age.near is not None and age.near < NEAR_THRESHOLD
    return weak or wide
