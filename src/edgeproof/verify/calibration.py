"""Confidence that means what it says, and the threshold that keeps harm under a limit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import DataError, InputError, UsageError
from edgeproof.core.softmax import softmax

_COLDEST, _HOTTEST = 0.05, 20.0
_HALVINGS = 50  # of log T over [0.05, 20]: far below what any sample can tell apart


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that minimises the negative log likelihood of the labels.

    Guo et al. 2017, "On calibration of modern neural networks", 4.2. The likelihood is convex in 1 / T, so
    the sign of its slope is bisected; the answer stays within 0.05 to 20 (where every answer is right, or
    none is better than a guess, the best lies at the end of that range).

    Arguments:
        logits: (n, k), finite, from photos that the network was not trained on.
        labels: int (n,), the right class of each, 0 to k - 1.

    Raises:
        DataError: no photos.
        InputError: shapes that don't fit, logits not finite, or a label out of range.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 2 or truth.shape != scores.shape[:1] or truth.dtype.kind not in "iu":
        raise InputError(
            f"Logits {list(scores.shape)} and labels {truth.dtype}{list(truth.shape)} don't belong together.",
            hint="Expected logits (n, k) and integer labels (n,).",
        )
    if not scores.size:
        raise DataError("There are no logits to fit a temperature to.", hint="Give labelled photos.")
    if not np.isfinite(scores).all() or truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise InputError(
            f"Some logits are not finite, or some labels are not 0 to {scores.shape[1] - 1}.",
            hint="Check the network with `edgeproof check`, and the labels.",
        )
    return _temperature(scores, float(np.take_along_axis(scores, truth[:, None], axis=1).mean()))


def match_temperature(logits: ArrayLike, probabilities: ArrayLike) -> float:
    """The temperature at which one network is as confident as another, calibrated one.

    It minimises the cross-entropy against the other's probabilities, which vary far less than labels do.

    Arguments:
        logits: (n, k), finite, of the network to calibrate.
        probabilities: (n, k), the calibrated answers of the other to the same pictures.

    Raises:
        DataError: no photos.
        InputError: shapes that differ, or numbers that are not finite.
    """
    scores, wanted = np.asarray(logits, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or wanted.shape != scores.shape:
        raise InputError(
            f"Logits {list(scores.shape)} and probabilities {list(wanted.shape)} don't belong together.",
            hint="Expected (n, k) of both.",
        )
    if not scores.size:
        raise DataError("There are no logits to fit a temperature to.", hint="Give photos.")
    if not (np.isfinite(scores).all() and np.isfinite(wanted).all()):
        raise InputError("Some logits or probabilities are not finite.", hint="Check the network.")
    return _temperature(scores, float((wanted * scores).sum(axis=1).mean()))


def _temperature(scores: NDArray[np.float64], wanted: float) -> float:
    """The temperature at which the scores expect themselves to be `wanted` in the mean."""
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        expected = (softmax(scores, math.exp(middle)) * scores).sum(axis=1).mean()
        # Expecting more than what is wanted means overconfidence: hotter.
        low, high = (middle, high) if expected > wanted else (low, middle)
    return math.exp((low + high) / 2.0)


def threshold_for_harm(confidence: ArrayLike, wrong_turn: ArrayLike, limit: float) -> float:
    """The smallest threshold at which at most `limit` of the upright pictures would be turned wrongly.

    An upright picture is harmed where the network would turn it and its confidence is at least the threshold.
    Below the threshold the answer is "unsure" and the picture is left as it is; the smaller the threshold,
    the more of the pictures that do need turning are put right. When rounding it, round up.

    Arguments:
        confidence: (n,), 0 to 1, of the answer on each UPRIGHT picture, also on those rightly kept.
        wrong_turn: bool (n,), where that answer is any turn but 0.
        limit: the largest share of the n pictures that may be harmed, 0 to 1.

    Returns:
        A threshold above 0, at most 1.

    Raises:
        DataError: no pictures, or so many harmed with a confidence of 1 that no threshold would do.
        InputError: shapes that differ, or a confidence outside 0 to 1.
        UsageError: a limit outside 0 to 1.
    """
    sure, wrong = np.asarray(confidence, dtype=np.float64), np.asarray(wrong_turn, dtype=np.bool_)
    if sure.ndim != 1 or sure.shape != wrong.shape or not ((sure >= 0.0) & (sure <= 1.0)).all():
        raise InputError(
            f"Confidences {list(sure.shape)} and wrong turns {list(wrong.shape)} don't belong together, "
            "or a confidence is outside 0 to 1.",
            hint="Expected two rows of the same length, confidences from 0 to 1.",
        )
    if not 0.0 <= limit <= 1.0:
        raise UsageError(
            f"The limit of harm is {limit}.", hint="Give a fraction from 0 to 1: 0.005 for 0.5 %."
        )
    if not len(sure):
        raise DataError("There are no upright pictures to set a threshold by.", hint="Give upright photos.")
    allowed = int(np.searchsorted(np.arange(len(sure) + 1) / len(sure), limit, side="right")) - 1
    harmful = np.sort(sure[wrong])[::-1]
    excluded = float(harmful[allowed]) if allowed < len(harmful) else 0.0
    if excluded == 1.0:
        raise DataError(
            f"More than {limit:.2%} of the upright pictures are turned wrongly with a confidence of 1.",
            hint="Fit the temperature first, or allow more harm.",
        )
    return math.nextafter(excluded, 1.0)  # just above: pictures tied with it are left alone too
