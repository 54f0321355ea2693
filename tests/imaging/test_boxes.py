"""IoU, suppression and boxes in turned pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.core.faces import FaceDetections
from edgeproof.imaging import exif
from edgeproof.imaging.boxes import iou, nms, stored_boxes, turn_boxes


def _boxes(rng: np.random.Generator, count: int, span: float = 60.0) -> np.ndarray:
    corner = rng.uniform(0, span, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0, 20, (count, 2))], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (2, 2, 4, 4), 0.04),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0.0),
        ((5, 5, 1, 1), (0, 0, 10, 10), 0.0),
    ],
    ids=["same", "half", "beside", "inside", "no area", "inside out"],
)
def test_overlap(one: tuple[float, ...], other: tuple[float, ...], wanted: float) -> None:
    assert iou(np.float32([one]), np.float32([other]))[0, 0] == pytest.approx(wanted)


def test_overlap_of_none() -> None:
    nothing = np.empty((0, 4), np.float32)
    assert iou(nothing, np.zeros((3, 4), np.float32)).shape == (0, 3)
    assert iou(np.zeros((3, 4), np.float32), nothing).shape == (3, 0)


def _greedy(boxes: np.ndarray, scores: np.ndarray, threshold: float, classes: np.ndarray | None) -> list[int]:
    """The loop of the textbooks."""
    left = list(np.argsort(-scores, kind="stable"))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        over = iou(boxes[best][None], boxes)[0]
        left = [
            i for i in left if over[i] <= threshold or (classes is not None and classes[i] != classes[best])
        ]
    return kept


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.integers(0, 600),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([15.0, 60.0, 300.0]),
    st.booleans(),
)
def test_suppression_keeps_what_the_simple_loop_keeps(
    count: int, seed: int, threshold: float, kinds: int | None, span: float, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    boxes = _boxes(rng, count, span)
    scores = rng.integers(0, 5, count).astype(np.float32) if ties else rng.random(count, np.float32)
    classes = None if kinds is None else rng.integers(0, kinds, count)
    wanted = _greedy(boxes, scores, threshold, classes)
    assert nms(boxes, scores, threshold, classes).tolist() == wanted
    assert nms(boxes, scores, threshold, classes, limit=7).tolist() == wanted[:7]


def test_a_chain_of_boxes_each_over_the_next_takes_every_other_one() -> None:
    x = np.arange(1000, dtype=np.float32) * 5
    boxes = np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1)
    assert nms(boxes, -x, 0.3).tolist() == list(range(0, 1000, 2))


def test_ten_thousand_boxes() -> None:
    rng = np.random.default_rng(1)
    boxes, scores = _boxes(rng, 10_000, 2000), rng.random(10_000, np.float32)
    kept = nms(boxes, scores, 0.4)
    assert (np.diff(scores[kept]) <= 0).all()
    dropped = np.setdiff1d(np.arange(len(boxes)), kept)
    assert (np.triu(iou(boxes[kept], boxes[kept]), 1) <= 0.4).all()
    assert (iou(boxes[dropped], boxes[kept]) > 0.4).any(axis=1).all()


def test_one_box_stays_and_none_is_none() -> None:
    assert nms(np.float32([[0, 0, 1, 1]]), np.float32([0.5]), 0.5).tolist() == [0]
    assert nms(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.5).tolist() == []


def _marked(width: int, height: int) -> tuple[np.ndarray, FaceDetections]:
    """A stored picture with one face, whose five landmarks are pixels of five colours."""
    pixels = np.zeros((height, width, 3), np.uint8)
    points = np.array([[4, 3], [9, 3], [6, 6], [5, 9], [8, 8]])
    for number, (x, y) in enumerate(points, start=1):
        pixels[y, x] = number
    found = FaceDetections(
        np.float32([[2, 1, 12, 11]]), np.float32([0.9]), (points[None] + 0.5).astype(np.float32)
    )
    return pixels, found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_the_upright_picture_lie_right_in_the_stored_one(orientation: int) -> None:
    pixels, wanted = _marked(17, 13)
    upright = exif.apply(pixels, orientation)
    mirrored = exif.STEPS[orientation][0]
    # What a detector finds in the upright picture: the colours where they are now, "left" being left there.
    colours = [2, 1, 3, 5, 4] if mirrored else [1, 2, 3, 4, 5]
    places = [np.argwhere(upright[:, :, 0] == colour)[0][::-1] + 0.5 for colour in colours]
    marks = np.float32(places)[None]
    inside = upright.shape[1::-1]
    assert (marks < inside).all()
    corners = np.argwhere(exif.apply(_filled(17, 13, wanted.boxes[0]), orientation)[:, :, 0])
    low, high = corners.min(axis=0)[::-1], corners.max(axis=0)[::-1] + 1
    found = FaceDetections(np.float32([[*low, *high]]), wanted.scores, marks)
    stored = stored_boxes(found, orientation, 17, 13)
    assert stored.landmarks is not None
    assert wanted.landmarks is not None
    assert np.array_equal(stored.boxes, wanted.boxes)
    assert np.array_equal(stored.landmarks, wanted.landmarks)


def _filled(width: int, height: int, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = box.astype(int)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    return pixels


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_boxes_found_after_a_turn_lie_right_before_it(turn: int) -> None:
    pixels, wanted = _marked(17, 13)
    turned = np.rot90(pixels, -(turn // 90))
    marks = np.float32([np.argwhere(turned[:, :, 0] == colour)[0][::-1] + 0.5 for colour in range(1, 6)])[
        None
    ]
    corners = np.argwhere(np.rot90(_filled(17, 13, wanted.boxes[0]), -(turn // 90))[:, :, 0])
    low, high = corners.min(axis=0)[::-1], corners.max(axis=0)[::-1] + 1
    found = turn_boxes(FaceDetections(np.float32([[*low, *high]]), wanted.scores, marks), turn, 17, 13)
    assert found.landmarks is not None
    assert wanted.landmarks is not None
    assert np.array_equal(found.boxes, wanted.boxes)
    assert np.array_equal(found.landmarks, wanted.landmarks)


def test_no_faces_turn_into_no_faces() -> None:
    assert len(turn_boxes(FaceDetections.none(), 90, 4, 3)) == 0
    assert turn_boxes(FaceDetections.none(landmarks=False), 270, 4, 3).landmarks is None


@pytest.mark.parametrize("turn", [45, -90, 360])
def test_another_turn_is_refused(turn: int) -> None:
    with pytest.raises(InputError, match="turn"):
        turn_boxes(FaceDetections.none(), turn, 4, 3)


@pytest.mark.parametrize("orientation", [0, 9])
def test_another_orientation_is_refused(orientation: int) -> None:
    with pytest.raises(InputError, match="orientation"):
        stored_boxes(FaceDetections.none(), orientation, 4, 3)
