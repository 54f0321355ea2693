"""Pairs with known answers: folds, thresholds, rates, and pairs that failed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, InputError
from edgeproof.verify.verification import best_threshold, equal_error, roc, threshold_at_far, verify

PAIRS = st.lists(st.tuples(st.floats(-1, 1, width=16), st.booleans()), min_size=1, max_size=60)


def _accuracy(values: np.ndarray, same: np.ndarray, threshold: float) -> float:
    return float(((values >= threshold) == same).mean())


@given(PAIRS)
@example([(1.0, False)])
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    values, same = (np.array(column) for column in zip(*pairs, strict=True))
    best = _accuracy(values, same, best_threshold(values, same))
    tried = [*values, *(values + 1e-9), -2.0, 2.0]
    assert best >= max(_accuracy(values, same, threshold) for threshold in tried) - 1e-12


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    assert best_threshold([0.1, 0.2, 0.6, 0.9], [False, False, True, True]) == pytest.approx(0.4)


@given(
    st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=300), st.sampled_from([0.5, 0.1, 0.01, 0.001])
)
def test_a_false_accept_rate_is_kept_and_not_overdone(impostors: list[float], far: float) -> None:
    threshold = threshold_at_far(impostors, far)
    if len(impostors) * far < 1:
        assert threshold is None
        return
    assert threshold is not None
    assert np.mean(np.array(impostors) >= threshold) <= far + 1e-12
    lower = np.nextafter(threshold, -np.inf)
    assert np.mean(np.array(impostors) >= lower) > far - 1e-12


@pytest.mark.parametrize("far", [0, 1, -0.1, math.nan])
def test_a_rate_that_is_none_is_refused(far: float) -> None:
    with pytest.raises(InputError):
        threshold_at_far([0.5], far)


def test_each_fold_is_judged_at_the_others_threshold() -> None:
    # Fold a would like 0.5, fold b 0.3: at 0.3 one pair of a is wrong, at 0.5 one of b.
    values = [0.4, 0.1, 0.6, 0.7, 0.2, 0.1, 0.4, 0.8]
    same = [False, False, True, True, False, False, True, True]
    found = verify(values, same, ["a"] * 4 + ["b"] * 4)
    assert found.folds == (0.75, 0.75)
    assert (found.accuracy, found.std) == (0.75, 0.0)
    assert found.threshold == pytest.approx(0.5, abs=0.25)


def test_a_pair_that_failed_is_wrong_and_helps_no_rate() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(400) % 2 == 0
    values = np.where(same, rng.normal(0.7, 0.05, 400), rng.normal(0.0, 0.05, 400))
    whole = verify(values, same, np.arange(400) // 40)
    assert (whole.accuracy, whole.tar_at_far[0.01], whole.failed) == (1.0, 1.0, 0)
    values[:40] = math.nan
    broken = verify(values, same, np.arange(400) // 40)
    assert broken.failed == 40
    assert broken.accuracy == pytest.approx(0.9)
    assert broken.folds[0] == 0.0
    assert broken.tar_at_far[0.01] == pytest.approx(0.9)


def test_too_few_pairs_of_two_people_say_nothing_of_a_small_rate() -> None:
    same = np.arange(600) % 2 == 0
    document = verify(np.where(same, 0.8, 0.1), same, np.arange(600) % 10).as_json()
    assert document["tar_at_far"] == {"0.01": 1.0, "0.001": None}
    assert document["threshold_at_far"]["0.001"] is None


def test_pairs_of_one_fold_are_dealt_out_to_ten() -> None:
    same = np.arange(100) % 2 == 0
    found = verify(np.where(same, 0.8, 0.1), same, [""] * 100)
    assert len(found.folds) == 10
    assert found == verify(np.where(same, 0.8, 0.1), same, [""] * 100)


@given(PAIRS.filter(lambda pairs: len({same for _, same in pairs}) == 2))
def test_the_curve_rises_from_none_to_all(pairs: list[tuple[float, bool]]) -> None:
    genuine = [value for value, same in pairs if same]
    impostor = [value for value, same in pairs if not same]
    thresholds, far, tar = roc(genuine, impostor)
    assert (np.diff(thresholds) < 0).all()
    assert (np.diff(far) >= 0).all()
    assert (np.diff(tar) >= 0).all()
    assert (far[-1], tar[-1]) == (1, 1)
    for i, threshold in enumerate(thresholds):
        assert tar[i] == pytest.approx(np.mean(np.array(genuine) >= threshold))
    assert 0 <= equal_error(genuine, impostor) <= 1


@pytest.mark.parametrize(
    ("values", "same", "folds", "kind"),
    [
        ([0.5], [True], ["a", "b"], InputError),
        ([0.5, 0.6], [True, True], ["a", "b"], DataError),
        ([math.nan, 0.6], [False, True], ["a", "b"], DataError),
        ([0.5, 0.6, math.nan], [True, False, True], ["a", "a", "b"], DataError),
        ([], [], [], DataError),
    ],
    ids=["lengths", "one kind", "none of a kind left", "no other fold", "nothing"],
)
def test_pairs_that_say_nothing_are_refused(
    values: list[float], same: list[bool], folds: list[str], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        verify(values, same, folds)
