from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, InputError, UsageError
from edgeproof.verify.calibration import fit_temperature, softmax, threshold_for_harm


def test_softmax_is_stable_and_keeps_its_shape() -> None:
    rows = softmax(np.array([[1e4, 0.0], [-1e4, -1e4], [0.0, math.log(3)]], np.float32))
    np.testing.assert_allclose(rows, [[1, 0], [0.5, 0.5], [0.25, 0.75]], atol=1e-7)
    np.testing.assert_allclose(softmax([0.0, math.log(9)], temperature=2), [0.25, 0.75])
    assert rows.dtype == np.float64


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_is_above_0(temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        softmax([1.0, 2.0], temperature)


def _nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(-np.log(softmax(logits, temperature)[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_is_found_and_nothing_near_is_better(true: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 4))
    labels = (softmax(honest).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    logits = (honest * true).astype(np.float32)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true, rel=0.08)
    best = _nll(logits, labels, found)
    assert all(best <= _nll(logits, labels, found * factor) for factor in (0.5, 0.99, 1.01, 2))


def test_the_temperature_stays_in_its_range() -> None:
    logits = np.eye(4) * 3
    assert fit_temperature(logits, np.arange(4)) == pytest.approx(0.05)
    assert fit_temperature(logits, (np.arange(4) + 1) % 4) == pytest.approx(20)


@pytest.mark.parametrize(
    ("logits", "labels", "error"),
    [
        (np.zeros((0, 4)), np.zeros(0, int), DataError),
        (np.zeros((2, 4)), np.zeros(3, int), InputError),
        (np.zeros(4), np.zeros(4, int), InputError),
        (np.zeros((2, 4)), np.zeros(2), InputError),
        (np.zeros((2, 4)), np.array([0, 4]), InputError),
        (np.zeros((2, 4)), np.array([0, -1]), InputError),
        (np.full((2, 4), math.nan), np.zeros(2, int), InputError),
    ],
)
def test_what_has_no_temperature(logits: np.ndarray, labels: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        fit_temperature(logits, labels)


CONFIDENCE = [0.9, 0.8, 0.8, 0.7, 0.6, 0.95, 0.5, 0.4, 0.3, 0.99]
WRONG = [True, True, True, True, False, False, False, False, False, False]


@pytest.mark.parametrize(
    ("limit", "threshold"),
    [(0.0, 0.9), (0.05, 0.9), (0.1, 0.8), (0.2, 0.8), (0.3, 0.7), (0.4, 0.0), (1.0, 0.0)],  # 0.2: the tie
)
def test_the_threshold_is_just_above_the_first_harm_too_many(limit: float, threshold: float) -> None:
    assert threshold_for_harm(CONFIDENCE, WRONG, limit) == math.nextafter(threshold, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 0.999]), st.booleans()), min_size=1, max_size=60
    ),
    st.floats(0, 1),
)
def test_the_threshold_keeps_the_limit_and_no_smaller_one_does(
    pictures: list[tuple[float, bool]], limit: float
) -> None:
    sure, wrong = (np.array(column) for column in zip(*pictures, strict=True))

    def harm(threshold: float) -> float:
        return float((wrong & (sure >= threshold)).sum()) / len(sure)

    found = threshold_for_harm(sure, wrong, limit)
    assert 0 < found <= 1
    assert harm(found) <= limit
    below = math.nextafter(found, 0)
    assert below == 0.0 or harm(below) > limit


@pytest.mark.parametrize(
    ("confidence", "wrong", "limit", "error"),
    [
        ([], [], 0.01, DataError),
        ([1.0, 0.5], [True, False], 0.01, DataError),
        ([0.5], [True, False], 0.01, InputError),
        ([1.5], [True], 0.01, InputError),
        ([math.nan], [True], 0.01, InputError),
        ([[0.5]], [[True]], 0.01, InputError),
        ([0.5], [True], 5.0, UsageError),
        ([0.5], [True], math.nan, UsageError),
    ],
)
def test_what_has_no_threshold(
    confidence: list[float], wrong: list[bool], limit: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        threshold_for_harm(confidence, wrong, limit)
