"""The bootstrap over photos."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import DataError, InputError
from edgeproof.verify.average_precision import Found, curves, resampled_area
from edgeproof.verify.mean_average_precision import (
    Answered,
    Truth,
    mean_average_precision,
    resampled_map,
)
from edgeproof.verify.paired import judge_drop, paired_drop
from edgeproof.verify.resampling import bootstrap_drop, resampled, share


def picture(chance: np.random.Generator) -> Answered:
    """Some things, and detections near most of them."""
    count = int(chance.integers(0, 8))
    corners = chance.uniform(0, 300, (count, 2))
    boxes = np.concatenate([corners, corners + chance.uniform(10, 80, (count, 2))], axis=1)
    classes = chance.integers(0, 6, count)
    of = chance.integers(0, max(count, 1), 20)
    corners = chance.uniform(0, 300, (20, 2))
    near = np.concatenate([corners, corners + 30], axis=1)
    said = chance.integers(0, 6, 20)
    if count:
        near = np.where(chance.random((20, 1)) < 0.7, boxes[of] + chance.normal(0, 5, (20, 4)), near)
        said = np.where(chance.random(20) < 0.8, classes[of], said)
    return Answered(near, chance.random(20), said, Truth(boxes, classes))


def test_a_resample_is_the_set_with_its_pictures_as_often_as_drawn() -> None:
    chance = np.random.default_rng(0)
    pictures = [picture(chance) for _ in range(12)]
    faces = [
        Found(one.boxes.astype(np.float32), one.scores.astype(np.float32), one.truth.boxes.astype(np.float32))
        for one in pictures
    ]
    weights = resampled(12, resamples=6)
    assert weights.shape == (7, 12)
    assert weights[0].tolist() == [1] * 12
    assert weights.sum(axis=1).tolist() == [12] * 7
    maps, areas = resampled_map(pictures, weights), resampled_area(faces, weights)
    for row, weight in enumerate(weights):
        drawn = [place for place, times in enumerate(weight) for _ in range(times)]
        assert maps[row] == pytest.approx(mean_average_precision([pictures[i] for i in drawn]).map)
        assert areas[row] == pytest.approx(curves([faces[i] for i in drawn])[0].area())


def test_the_interval_holds_what_it_says() -> None:
    """The true drop lies in the 95 % interval of about 95 in 100 samples; it is wider where photos are few."""
    chance, inside = np.random.default_rng(1), 0
    for _ in range(150):
        weights = resampled(80, seed=int(chance.integers(1 << 30)))
        before = (chance.random(80) < 0.9).astype(float)
        after = before * (chance.random(80) < 0.9)
        drop = bootstrap_drop(share(before, np.ones(80), weights), share(after, np.ones(80), weights), 80)
        inside += drop.low <= 0.09 <= drop.high
    assert 0.91 <= inside / 150 <= 1.0


@pytest.mark.parametrize(
    ("photos", "limit", "verdict"),
    [(10, 0.02, "not enough evidence"), (90, 0.02, "not enough evidence"), (120, 0.02, "pass")],
)
def test_few_photos_prove_nothing_even_where_nothing_changed(photos: int, limit: float, verdict: str) -> None:
    same = np.ones(201)
    found, needed = judge_drop(bootstrap_drop(same, same, photos), limit)
    assert found == verdict
    assert (needed is None) == (verdict == "pass")
    if needed is not None:
        assert needed == 98  # 1.96 / 98 is just under 2 %
        assert judge_drop(bootstrap_drop(same, same, needed), limit)[0] == "pass"


def test_what_surely_lost_fails() -> None:
    chance = np.random.default_rng(2)
    before = np.full(201, 0.8)
    found, _ = judge_drop(bootstrap_drop(before, before - 0.1 + chance.normal(0, 0.005, 201), 400), 0.02)
    assert found == "fail"


def test_photos_without_anything_count_nothing() -> None:
    weights = resampled(3, resamples=2)
    assert share([1, 0, 0], [2, 0, 0], weights)[0] == 0.5
    assert share([0, 0, 0], [0, 0, 0], weights).tolist() == [1.0] * 3


def test_bad_input() -> None:
    with pytest.raises(DataError):
        resampled(0)
    with pytest.raises(InputError):
        bootstrap_drop(np.ones(5), np.ones(6), 3)


def test_pairs_that_share_a_photo_say_less_than_pairs_that_do_not() -> None:
    """One photo that a network gets wrong spoils all its pairs: that is one mistake, not ten."""
    before, after = np.ones((200, 1)), np.ones((200, 1))
    after[:10] = 0
    apart = np.arange(400).reshape(200, 2)
    together = apart.copy()
    together[:10, 0] = 0
    one, other, alone = (paired_drop(before, after, members=members) for members in (apart, together, None))
    assert (one.low, one.high) == pytest.approx((alone.low, alone.high))
    assert one.drop == other.drop
    assert other.high - other.low > 2 * (one.high - one.low)
    assert other.effective_views < 40
