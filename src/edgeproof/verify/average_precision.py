"""Average precision of boxes, over all pictures of a set: the area under the curve of precision against recall.

A detection is right where it overlaps a box of the truth that no better detection of that picture has taken (as
Everingham et al. 2010, The PASCAL VOC Challenge, section 4.2, and COCO's at one threshold: github.com/cocodataset/
cocoapi). The area is exact, under the envelope of the curve, or the mean of equally spaced points (COCO: 101).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError
from edgeproof.imaging.boxes import iou

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """What a detector found in one picture, and what is there.

    Attributes:
        boxes: float32 (N, 4), xyxy.
        scores: float32 (N,).
        truth: float32 (M, 4), xyxy.
    """

    boxes: Floats
    scores: Floats
    truth: Floats


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall as the threshold falls, one point a detection, best first.

    Attributes:
        scores, precision, recall: float64 (N,).
        truths: how many boxes there are to find.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    truths: int

    @property
    def most_recall(self) -> float:
        """The share of the boxes that was found at all."""
        return float(self.recall[-1]) if len(self.recall) else 0.0

    def area(self, points: int | None = None) -> float:
        """The average precision: exact, or the mean of as many points of recall from 0 to 1."""
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        if points is None:
            return float((envelope * np.diff(self.recall, prepend=0.0)).sum())
        places = np.searchsorted(self.recall, np.linspace(0, 1, points), side="left")
        return float(np.append(envelope, 0.0)[places].mean())

    def at(self, threshold: float) -> tuple[float | None, float]:
        """Precision (None where nothing is found) and recall of the detections whose score is at least that."""
        least = float(np.float32(threshold))  # as the scores were before they became float64
        last = int(np.searchsorted(-self.scores, -least, side="right")) - 1
        return (None, 0.0) if last < 0 else (float(self.precision[last]), float(self.recall[last]))


def match(found: Found, thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Which detections are right: (T, N), in the order of falling scores, at each of T overlaps.

    Each takes the box that it overlaps most of those that are left, if the overlap reaches the threshold.
    """
    order = np.argsort(-found.scores, kind="stable")
    overlaps = iou(found.boxes[order], found.truth)
    right = np.zeros((len(thresholds), len(order)), np.bool_)
    # Only these can be right at any threshold: in a crowd of weak candidates they are few.
    near = np.flatnonzero((overlaps >= min(thresholds)).any(axis=1)) if found.truth.size else ()
    for level, threshold in enumerate(thresholds):
        left = np.ones(len(found.truth), np.bool_)
        for row in near:
            values = np.where(left, overlaps[row], -1.0)
            best = int(values.argmax())
            if values[best] >= threshold:
                left[best], right[level, row] = False, True
    return right


def curves(pictures: Sequence[Found], thresholds: Sequence[float] = (0.5,)) -> list[Curve]:
    """The curve over all pictures for each overlap from which a detection is right.

    Raises:
        DataError: no picture has a box to find.
    """
    truths = sum(len(picture.truth) for picture in pictures)
    if not truths:
        raise DataError(
            "There is no box to find in any of the pictures.", hint="Give pictures whose boxes are known."
        )
    scores = np.concatenate([np.sort(picture.scores)[::-1] for picture in pictures]).astype(np.float64)
    right = np.concatenate([match(picture, thresholds) for picture in pictures], axis=1)
    order = np.argsort(-scores, kind="stable")
    return [_curve(scores[order], level[order], truths) for level in right]


def resampled_area(
    pictures: Sequence[Found], weights: NDArray[np.int64], overlap: float = 0.5
) -> NDArray[np.float64]:
    """The exact average precision over resamples of the pictures.

    Arguments:
        weights: (resamples, pictures), how often each counts.

    Returns:
        (resamples,); 0 where one has no box to find.
    """
    counts = [len(picture.scores) for picture in pictures]
    scores = np.concatenate([np.sort(picture.scores)[::-1] for picture in pictures]).astype(np.float64)
    right = np.concatenate([match(picture, (overlap,))[0] for picture in pictures])
    order = np.argsort(-scores, kind="stable")
    of, right = np.repeat(np.arange(len(pictures)), counts)[order], right[order]
    truths = weights @ np.array([len(picture.truth) for picture in pictures])
    areas = np.zeros(len(weights))
    for row, (weight, there) in enumerate(zip(weights, truths, strict=True)):
        drawn = weight[of]
        hits, found = np.cumsum(drawn * right), np.cumsum(drawn)
        precision = hits / np.maximum(found, 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        areas[row] = float((envelope * drawn * right).sum()) / there if there else 0.0
    return areas


def _curve(scores: NDArray[np.float64], right: NDArray[np.bool_], truths: int) -> Curve:
    hits = np.cumsum(right)
    return Curve(scores, hits / np.arange(1, len(hits) + 1), hits / truths, truths)
