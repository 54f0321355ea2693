"""Objects keep their numbers while they move, cross, hide for a while, and leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.detections import Detections
from edgeproof.core.errors import UsageError
from edgeproof.streams.track import Tracker

# x, y, score, class; every box is 40 x 80.
Thing = tuple[float, float, float, int]


def _found(things: Sequence[Thing]) -> Detections:
    table = np.array(sorted(things, key=lambda thing: -thing[2]), np.float32).reshape(-1, 4)
    boxes = np.concatenate([table[:, :2], table[:, :2] + [40, 80]], axis=1)
    return Detections(boxes.astype(np.float32), table[:, 2].copy(), table[:, 3].astype(np.int64))


def _ids(tracker: Tracker, *things: Thing) -> list[int]:
    """The number of each thing, in the order given; -2 for one that was not reported."""
    found = tracker.update(_found(things))
    numbers = {tuple(box[:2]): int(one) for box, one in zip(found.xyxy, found.data["track_id"], strict=True)}
    return [numbers.get((np.float32(x), np.float32(y)), -2) for x, y, _, _ in things]


def test_two_that_cross_keep_their_numbers() -> None:
    tracker = Tracker(0.5)
    for step in range(40):
        # One walks to the right, one to the left and a little lower; they overlap in the middle.
        ids = _ids(tracker, (10.0 + 8 * step, 50, 0.9, 0), (330.0 - 8 * step, 80, 0.8, 0))
        assert ids == [1, 2]


def test_one_that_is_hidden_for_a_while_is_found_again_where_it_must_be() -> None:
    tracker = Tracker(0.5, keep=30)
    for step in range(50):
        here = (10.0 + 6 * step, 50, 0.9, 0)
        if 20 <= step < 35:
            assert _ids(tracker) == []
        else:
            assert _ids(tracker, here) == [1]


def test_one_that_stays_away_comes_back_as_another() -> None:
    tracker = Tracker(0.5, keep=5)
    for _ in range(4):
        assert _ids(tracker, (100, 100, 0.9, 0)) == [1]
    for _ in range(7):
        assert _ids(tracker) == []
    assert [_ids(tracker, (100, 100, 0.9, 0)) for _ in range(3)] == [[-1], [2], [2]]


def test_an_unsure_box_carries_a_track_on_and_begins_none() -> None:
    tracker = Tracker(0.5)
    _ids(tracker, (100, 100, 0.9, 0))
    assert _ids(tracker, (104, 100, 0.2, 0), (400, 100, 0.4, 0)) == [1, -2]
    assert _ids(tracker, (108, 100, 0.2, 0), (400, 100, 0.4, 0)) == [1, -2]


def test_without_its_unsure_boxes_a_track_is_lost_to_a_neighbour() -> None:
    tracker = Tracker(0.5)
    _ids(tracker, (100, 100, 0.9, 0), (125, 100, 0.8, 0))
    # The first is half hidden: its box stays its own, though the second's overlaps with it.
    assert _ids(tracker, (100, 100, 0.3, 0), (125, 100, 0.8, 0)) == [1, 2]


def test_a_box_that_is_seen_once_gets_no_number() -> None:
    tracker = Tracker(0.5)
    assert _ids(tracker, (100, 100, 0.9, 0)) == [1]
    assert _ids(tracker, (102, 100, 0.9, 0), (300, 100, 0.9, 0)) == [1, -1]
    assert _ids(tracker, (104, 100, 0.9, 0)) == [1]
    assert _ids(tracker, (106, 100, 0.9, 0), (300, 100, 0.9, 0)) == [1, -1]
    assert _ids(tracker, (108, 100, 0.9, 0), (301, 100, 0.9, 0)) == [1, 2]


def test_two_classes_in_one_place_are_two() -> None:
    tracker = Tracker(0.5)
    for step in range(10):
        # A rider and the horse: which has the better score changes.
        even = step % 2 == 0
        ids = _ids(tracker, (100, 100, 0.9 if even else 0.7, 0), (101, 100, 0.7 if even else 0.9, 17))
        assert ids == [1, 2]


def test_a_frame_that_could_not_be_looked_at_costs_no_number() -> None:
    tracker = Tracker(0.5)
    for step in range(5):
        assert _ids(tracker, (100 + 10 * step, 100, 0.9, 0)) == [1]
    for _ in range(4):
        tracker.miss()
    assert _ids(tracker, (100 + 10 * 9, 100, 0.9, 0)) == [1]


@pytest.mark.parametrize(("confidence", "keep"), [(0.0, 1), (float("nan"), 1), (1.5, 1), (0.5, -1)])
def test_numbers_out_of_range(confidence: float, keep: int) -> None:
    with pytest.raises(UsageError, match="can't work"):
        Tracker(confidence, keep=keep)


_things = st.lists(
    st.tuples(
        st.floats(-1e4, 1e4, width=32),
        st.floats(-1e4, 1e4, width=32),
        st.floats(0.125, 1, width=32),
        st.integers(0, 2),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_things, max_size=8), st.floats(0.1, 1))
def test_whatever_comes_every_sure_box_is_reported_and_no_number_is_given_twice(
    frames: list[list[Thing]], confidence: float
) -> None:
    tracker, again = Tracker(confidence), Tracker(confidence)
    for things in frames:
        found = _found(things)
        seen = tracker.update(found)
        numbers = seen.data["track_id"]
        assert np.array_equal(numbers, again.update(found).data["track_id"])
        given = numbers[numbers >= 0]
        assert len(set(given.tolist())) == len(given)
        sure = int((found.confidence >= np.float32(confidence)).sum())
        assert int((seen.confidence >= np.float32(confidence)).sum()) == sure


def test_boxes_without_area_and_a_crowd() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker(0.25)
    for _ in range(3):
        corner = rng.uniform(0, 500, (300, 2))
        boxes = np.concatenate(
            [corner, corner + rng.uniform(0, 60, (300, 2)) * (rng.random((300, 1)) < 0.9)], 1
        )
        found = Detections(boxes.astype(np.float32), np.full(300, 0.9, np.float32), np.zeros(300, np.int64))
        assert len(tracker.update(found)) == 300
