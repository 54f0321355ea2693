"""Boxes that two networks have in common."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.verify.agreement import matched_boxes

A, B, BESIDE = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [4.0, 0.0, 14.0, 10.0]


@pytest.mark.parametrize(
    ("one", "other", "matched"),
    [
        ([A, B], [B, A], 2),
        ([A], [A, A], 1),
        ([A], [BESIDE], 0),
        ([A, BESIDE], [[1.0, 0.0, 11.0, 10.0]], 1),
        ([], [A], 0),
        ([A], [], 0),
    ],
)
def test_each_box_is_matched_once(one: list[list[float]], other: list[list[float]], matched: int) -> None:
    boxes = [np.array(rows, np.float32).reshape(-1, 4) for rows in (one, other)]
    assert matched_boxes(*boxes) == matched


def test_another_class_is_another_thing() -> None:
    boxes = np.array([A, B], np.float32)
    assert matched_boxes(boxes, boxes, np.array([1, 2]), np.array([1, 3])) == 1
