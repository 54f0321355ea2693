from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, InputError, UsageError
from edgeproof.verify.paired import Drop, judge_drop, paired_drop

Z2 = 1.959964**2


def _table(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    before = np.repeat([1.0, 1.0, 0.0, 0.0], [both, lost, gained, neither])[:, None]
    after = np.repeat([1.0, 0.0, 1.0, 0.0], [both, lost, gained, neither])[:, None]
    return before, after


def _profile_z(lost: int, gained: int, n: int, delta: float) -> float:
    """Tango's statistic by definition: the likeliest rate of gains under delta is searched, not solved."""
    gains = np.linspace(max(0.0, -delta), (1 - delta) / 2, 400_001)[1:-1]
    likelihood = (n - lost - gained) * np.log(1 - 2 * gains - delta)
    likelihood += lost * np.log(gains + delta) + gained * np.log(gains)
    gain = gains[np.argmax(likelihood)]
    return (lost - gained - n * delta) / math.sqrt(n * (2 * gain + delta - delta * delta))


@pytest.mark.parametrize(("both", "lost", "gained", "neither"), [(40, 9, 4, 7), (80, 12, 1, 7), (9, 6, 6, 2)])
def test_the_ends_are_where_the_score_statistic_is_the_normal_quantile(
    both: int, lost: int, gained: int, neither: int
) -> None:
    found = paired_drop(*_table(both, lost, gained, neither))
    n = both + lost + gained + neither
    assert _profile_z(lost, gained, n, found.low) == pytest.approx(math.sqrt(Z2), abs=2e-3)
    assert _profile_z(lost, gained, n, found.high) == pytest.approx(-math.sqrt(Z2), abs=2e-3)


@pytest.mark.parametrize("photos", [1, 3, 10, 150])
@pytest.mark.parametrize("views", [1, 4])
def test_identical_answers_leave_an_interval_about_0(photos: int, views: int) -> None:
    scores = np.random.default_rng(0).integers(0, 2, (photos, views))
    found = paired_drop(scores, scores)
    reach = Z2 / (photos + Z2)  # the photo is the unit: nothing is known of how alike its views are
    assert (found.drop, found.low, found.high) == pytest.approx((0, -reach, reach), abs=1e-6)
    assert (found.photos, found.views, found.lost, found.gained) == (photos, photos * views, 0, 0)
    assert (found.changed, found.p_value) == (0, 1)


@pytest.mark.parametrize("photos", [1, 4, 50])
def test_everything_lost(photos: int) -> None:
    found = paired_drop(np.ones((photos, 4)), np.zeros((photos, 4)))
    assert (found.drop, found.high, found.lost, found.gained) == (1, 1, photos * 4, 0)
    assert found.low == pytest.approx((photos - Z2) / (photos + Z2), abs=1e-6)
    assert found.p_value == pytest.approx(min(1, 2 * 0.5**photos))


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**32 - 1), st.booleans())
def test_the_interval_holds_the_estimate_and_turns_over_with_its_sides(
    photos: int, views: int, seed: int, graded: bool
) -> None:
    rng = np.random.default_rng(seed)
    before, after = (rng.random((2, photos, views))).round(2 if graded else 0)
    one, other = paired_drop(before, after), paired_drop(after, before)
    assert -1 <= one.low <= one.drop + 1e-9
    assert one.drop - 1e-9 <= one.high <= 1
    assert one.high - one.low > 0
    assert (one.low, one.high, one.drop) == pytest.approx((-other.high, -other.low, -other.drop), abs=1e-6)
    assert (one.lost, one.gained, one.p_value) == (other.gained, other.lost, pytest.approx(other.p_value))
    assert one.photos <= one.effective_views
    assert graded or one.effective_views <= one.views


@pytest.mark.parametrize(
    ("lost", "gained", "p"), [(1, 0, 1.0), (6, 0, 0.03125), (5, 1, 0.21875), (10, 2, 0.038574), (3, 3, 1.0)]
)
def test_the_p_value_is_mcnemars_exact(lost: int, gained: int, p: float) -> None:
    assert paired_drop(*_table(20, lost, gained, 5)).p_value == pytest.approx(p, abs=1e-5)


def test_the_views_of_a_photo_are_no_new_evidence() -> None:
    before, after = _table(60, 9, 3, 8)
    once, four_times = paired_drop(before, after), paired_drop(before.repeat(4, 1), after.repeat(4, 1))
    assert four_times.effective_views == pytest.approx(80, rel=0.02)
    assert (four_times.low, four_times.high) == pytest.approx((once.low, once.high), abs=0.002)
    assert four_times.p_value == once.p_value


def test_a_photo_that_loses_a_view_and_gains_another_has_no_sign() -> None:
    found = paired_drop([[1, 0], [1, 1]], [[0, 1], [1, 1]])
    assert (found.drop, found.lost, found.gained, found.p_value) == (0, 1, 1, 1)


@pytest.mark.parametrize(
    ("photos", "loss", "gain", "alike", "graded"),
    [
        (20, 0.1, 0.05, 0.5, False),
        (60, 0.03, 0.01, 0.0, False),
        (60, 0.03, 0.01, 0.9, False),
        (60, 0.1, 0.08, 0.6, False),
        (150, 0.02, 0.0, 0.7, False),
        (60, 0.1, 0.05, 0.6, True),
    ],
)
def test_the_interval_covers_where_views_of_a_photo_are_alike(
    photos: int, loss: float, gain: float, alike: float, graded: bool
) -> None:
    rng = np.random.default_rng(13)
    size = 0.3 if graded else 1.0
    hits, trials = 0, 300
    for _ in range(trials):
        of_photo, of_view = rng.random((photos, 1)), rng.random((photos, 4))
        draw = np.where(rng.random((photos, 4)) < alike, of_photo, of_view)
        change = size * ((draw < loss) * 1.0 - (draw > 1 - gain))
        before = np.clip(change, 0, 1)
        found = paired_drop(before, before - change)
        hits += found.low <= size * (loss - gain) <= found.high
    assert hits / trials >= 0.92


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        (np.ones((0, 4)), np.ones((0, 4)), DataError),
        (np.ones((3, 0)), np.ones((3, 0)), DataError),
        (np.ones((3, 4)), np.ones((3, 2)), InputError),
        (np.ones((3, 4)), np.ones((2, 4)), InputError),
        (np.ones(3), np.ones(3), InputError),
        (np.full((3, 4), 2.0), np.ones((3, 4)), InputError),
        (np.full((3, 4), math.nan), np.ones((3, 4)), InputError),
        ([[1, 1], [1]], [[1, 1], [1]], InputError),
        ([["a"]], [[1]], InputError),
    ],
)
def test_what_cannot_be_compared(before: np.ndarray, after: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        paired_drop(before, after)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, math.nan])
def test_a_confidence_is_a_fraction(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        paired_drop([[1]], [[1]], confidence)


@pytest.mark.parametrize(
    ("table", "limit", "verdict"),
    [
        ((150, 0, 0, 50), 0.03, "pass"),
        ((150, 0, 0, 50), 0.005, "not enough evidence"),
        ((100, 60, 2, 38), 0.1, "fail"),
        ((140, 4, 2, 54), 0.005, "not enough evidence"),
        ((100, 10, 60, 30), 0.0, "pass"),
    ],
)
def test_verdicts(table: tuple[int, int, int, int], limit: float, verdict: str) -> None:
    drop = paired_drop(*_table(*table))
    found, needed = judge_drop(drop, limit)
    assert found == verdict
    assert (needed is None) == (verdict != "not enough evidence")


@pytest.mark.parametrize("table", [(150, 0, 0, 50), (140, 4, 2, 54), (150, 6, 6, 38), (12, 1, 0, 2)])
def test_the_photos_needed_are_the_fewest_that_settle_it(table: tuple[int, int, int, int]) -> None:
    drop = paired_drop(*_table(*table))
    verdict, needed = judge_drop(drop, 0.005)
    assert verdict == "not enough evidence"
    assert needed is not None
    assert needed > drop.photos
    # As many photos as told, at the same rates: n_eff follows, and so does the verdict; one fewer does not.
    assert _at(drop, needed, 0.005) != "not enough evidence"
    assert _at(drop, needed - 1, 0.005) == "not enough evidence"


def _at(drop: Drop, photos: int, limit: float) -> str:
    lost = (drop.changed + drop.drop) / 2
    gained = (drop.changed - drop.drop) / 2
    n = drop.effective_views * photos / drop.photos

    def z(delta: float) -> float:
        b = delta * (2 - lost + gained) - lost - gained
        rate = (math.sqrt(b * b + 8 * gained * delta * (1 - delta)) - b) / 4
        return math.sqrt(n) * (drop.drop - delta) / math.sqrt(2 * rate + delta * (1 - delta))

    return (
        "pass" if z(limit) < -math.sqrt(Z2) else "fail" if z(limit) > math.sqrt(Z2) else "not enough evidence"
    )


def test_zero_changes_need_as_many_photos_as_the_formula_says() -> None:
    _, needed = judge_drop(paired_drop(np.ones((150, 4)), np.ones((150, 4))), 0.005)
    assert needed == math.ceil(Z2 * (1 - 0.005) / 0.005)


def test_an_estimate_at_the_limit_promises_no_number() -> None:
    same = np.ones((20, 4))
    assert judge_drop(paired_drop(same, same), 0.0) == ("not enough evidence", None)
    at_limit = paired_drop(*_table(95, 5, 0, 0))
    assert judge_drop(at_limit, 0.05) == ("not enough evidence", None)
    assert judge_drop(replace(at_limit, photos=20_000_000), 0.05) == ("not enough evidence", None)


@pytest.mark.parametrize("limit", [1.5, -2.0, math.nan])
def test_a_limit_is_a_fraction(limit: float) -> None:
    with pytest.raises(UsageError, match="limit"):
        judge_drop(paired_drop([[1]], [[1]]), limit)
