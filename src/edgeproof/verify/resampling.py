"""The bootstrap over photos: how sure a figure is that is no mean of photos, such as average precision.

A resample draws as many photos as there are, with replacement; a photo's weight is how often it was drawn (Efron and
Tibshirani 1993, An introduction to the bootstrap, chapter 6). Two networks are judged on the same resamples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import DataError, InputError
from edgeproof.verify.paired import Drop, spread_interval

Weights = NDArray[np.int64]
Values = NDArray[np.float64]

# Enough for a standard error (Efron and Tibshirani, section 6.4), which is all that is taken from them.
RESAMPLES = 200


def resampled(photos: int, seed: int = 0, resamples: int = RESAMPLES) -> Weights:
    """How often each photo counts, int64 (1 + resamples, photos): first once each, then as drawn.

    Raises:
        DataError: there is no photo.
    """
    if photos < 1:
        raise DataError(
            "There are no photos to compare on.", hint="Give photos that were not used for calibration."
        )
    drawn = np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), size=resamples)
    return np.concatenate([np.ones((1, photos), np.int64), drawn])


def share(part: ArrayLike, whole: ArrayLike, weights: Weights) -> Values:
    """A share over all photos, in each resample: the parts' sum over the wholes'.

    Arguments:
        part, whole: (photos,), such as faces answered alike, and faces. A photo without any counts nothing.
        weights: as `resampled` gives them.

    Returns:
        (1 + resamples,); 1 where a resample has nothing to answer.
    """
    parts, wholes = (weights @ np.asarray(values, np.float64) for values in (part, whole))
    found: Values = np.divide(parts, wholes, out=np.ones_like(parts), where=wholes > 0)
    return found


def bootstrap_drop(
    before: NDArray[np.floating[Any]],
    after: NDArray[np.floating[Any]],
    photos: int,
    confidence: float = 0.95,
) -> Drop:
    """Compare two networks' figures over the same resamples of the same photos.

    The interval is the drop with the normal quantile of its standard error on either side, with what
    `spread_interval` adds: on few photos, where resamples can't differ much, nothing is proven.

    Arguments:
        before, after: (1 + resamples,) figures from 0 to 1, the first of all photos as they are.
        photos: how many were drawn from.
        confidence: a fraction.

    Raises:
        InputError: figures of different resamples, or too few.
    """
    if before.shape != after.shape or before.ndim != 1 or len(before) < 3:
        raise InputError(
            f"The figures are of {list(before.shape)} and {list(after.shape)} resamples.",
            hint="Give both of the same resamples, after the figure of all photos.",
        )
    drop = float(before[0] - after[0])
    spread = float((before[1:] - after[1:]).std(ddof=1))
    low, high = spread_interval(drop, spread, photos, photos, confidence)
    return Drop(
        drop=drop,
        low=low,
        high=high,
        confidence=confidence,
        photos=photos,
        views=photos,
        lost=None,
        gained=None,
        changed=None,
        effective_views=float(photos),
        p_value=None,
        spread=spread,
    )
