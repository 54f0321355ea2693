"""Average precision against curves worked out by hand, and against the plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import DataError
from edgeproof.imaging.boxes import iou
from edgeproof.verify.average_precision import Found, curves, match

NOTHING = np.empty((0, 4), np.float32)


def _found(boxes: list[list[float]], scores: list[float], truth: list[list[float]]) -> Found:
    return Found(np.float32(boxes).reshape(-1, 4), np.float32(scores), np.float32(truth).reshape(-1, 4))


A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]


@pytest.mark.parametrize(
    ("boxes", "scores", "truth", "ap", "recall"),
    [
        ([A, B], [0.9, 0.8], [A, B], 1.0, 1.0),
        ([], [], [A, B], 0.0, 0.0),
        ([A], [0.9], [A, B], 0.5, 0.5),
        ([A, FAR, B], [0.9, 0.8, 0.7], [A, B], 0.5 + 0.5 * 2 / 3, 1.0),
        ([FAR, A], [0.9, 0.8], [A], 0.5, 1.0),
        ([A, A], [0.9, 0.8], [A], 1.0, 1.0),  # the second is wrong, but all was found before it
        ([A, A, B], [0.9, 0.8, 0.7], [A, B], 0.5 + 0.5 * 2 / 3, 1.0),
    ],
    ids=["all", "none", "half", "one wrong between", "wrong first", "twice", "twice, then the other"],
)
def test_the_area_worked_out_by_hand(
    boxes: list[list[float]], scores: list[float], truth: list[list[float]], ap: float, recall: float
) -> None:
    curve = curves([_found(boxes, scores, truth)])[0]
    assert curve.area() == pytest.approx(ap)
    assert curve.most_recall == pytest.approx(recall)
    assert curve.truths == len(truth)


def test_precision_and_recall_at_a_score() -> None:
    curve = curves([_found([A, FAR, B], [0.9, 0.8, 0.7], [A, B])])[0]
    assert curve.at(0.95) == (None, 0.0)
    assert curve.at(0.9) == (1.0, 0.5)
    assert curve.at(0.75) == (0.5, 0.5)
    assert curve.at(0.1) == (pytest.approx(2 / 3), 1.0)


def test_faces_of_one_picture_are_not_found_in_another() -> None:
    curve = curves([_found([A], [0.9], []), _found([], [], [A])])[0]
    assert (curve.area(), curve.most_recall) == (0.0, 0.0)


def test_a_box_takes_what_it_overlaps_most_not_the_first() -> None:
    near = [0, 0, 10, 11]
    assert match(_found([A, near], [0.9, 0.8], [near, A]), (0.5,)).all()


def test_a_higher_overlap_asks_for_more() -> None:
    shifted = [0, 0, 10, 12]  # overlaps A by 10/12
    at = [curve.area() for curve in curves([_found([shifted], [0.9], [A])], (0.5, 0.8, 0.85, 0.95))]
    assert at == [1.0, 1.0, 0.0, 0.0]


def test_the_points_of_coco() -> None:
    # Recall .5 at precision 1, then nothing: 51 of the 101 points.
    assert curves([_found([A], [0.9], [A, B])])[0].area(points=101) == pytest.approx(51 / 101)


def test_no_truth_has_no_precision() -> None:
    with pytest.raises(DataError, match="no box to find"):
        curves([_found([A], [0.9], [])])


def _plain(found: Found, threshold: float) -> list[bool]:
    overlaps = iou(found.boxes, found.truth)
    taken: set[int] = set()
    right = []
    for row in np.argsort(-found.scores, kind="stable"):
        left = [j for j in range(len(found.truth)) if j not in taken]
        best = max(left, key=lambda j: overlaps[row, j]) if left else -1
        right.append(best >= 0 and bool(overlaps[row, best] >= threshold))
        if right[-1]:
            taken.add(best)
    return right


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 25), st.integers(0, 12), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]))
def test_matching_is_that_of_the_plain_loop(count: int, truths: int, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)

    def some(number: int) -> np.ndarray:
        corner = rng.integers(0, 12, (number, 2))
        return np.concatenate([corner, corner + rng.integers(1, 12, (number, 2))], axis=1).astype(np.float32)

    found = Found(some(count), rng.random(count, np.float32), some(truths))
    assert match(found, (threshold,))[0].tolist() == _plain(found, threshold)
