from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, UsageError
from edgeproof.measure.statistics import minimum_runs, percentile, percentile_interval, ratio_interval


@pytest.mark.parametrize(
    ("p", "runs"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636), (0.1, 64), (0.01, 662)]
)
def test_minimum_runs_are_those_of_mlperf(p: float, runs: int) -> None:
    assert minimum_runs(p) == runs


@given(st.floats(0.01, 0.999), st.floats(0.5, 0.999))
def test_minimum_runs_is_the_smallest_that_is_enough(p: float, confidence: float) -> None:
    tail = min(p, 1 - p)

    def risk(n: int) -> float:
        return sum(math.comb(n, k) * tail**k * (1 - tail) ** (n - k) for k in (0, 1))

    n = minimum_runs(p, confidence)
    assert risk(n) <= (1 - confidence) * (1 + 1e-9)
    assert risk(n - 1) > (1 - confidence) * (1 - 1e-9)


@pytest.mark.parametrize(("p", "tries"), [(0.5, 400_000), (0.9, 400_000), (0.95, 400_000), (0.99, 400_000)])
def test_minimum_runs_cover_in_a_brute_force_simulation(p: float, tries: int) -> None:
    """Were the true percentile higher, at most one run in n would exceed it no more than once in a hundred times."""
    rng = np.random.default_rng(5)
    n = minimum_runs(p)
    seldom, too_often = (float((rng.binomial(count, 1 - p, tries) <= 1).mean()) for count in (n, n - 1))
    noise = 4 * math.sqrt(0.01 * 0.99 / tries)
    assert seldom <= 0.01 + noise
    assert too_often > 0.01 - noise
    values = rng.exponential(1, (2000, n))
    truth = -math.log(1 - p)
    below = np.quantile(values, p, axis=1, method="inverted_cdf") <= truth
    assert below.mean() == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 99.0, math.nan])
def test_a_percentile_is_a_fraction(p: float) -> None:
    with pytest.raises(UsageError, match="percentile"):
        minimum_runs(p)
    with pytest.raises(UsageError, match="percentile"):
        percentile([1.0] * 20, p)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.99])
def test_a_percentile_is_given_only_where_the_sample_allows_it(p: float) -> None:
    enough = minimum_runs(p)
    assert percentile(np.arange(enough - 1), p) is None
    assert percentile_interval([np.arange(enough - 1)], p) is None
    assert percentile(np.arange(enough), p) == math.ceil(p * enough) - 1
    interval = percentile_interval([np.arange(enough)], p)
    assert interval is not None
    assert all(map(math.isfinite, interval))
    assert percentile([], p) is None


def test_a_percentile_is_a_measured_value_with_its_tail() -> None:
    two_modes = [1.0] * 70 + [9.0] * 70
    assert percentile(two_modes, 0.5) == 1.0
    assert percentile([*two_modes[:100], *[500.0] * 40], 0.95) == 500.0


@pytest.mark.parametrize(
    "bad", [[math.nan] * 20, [math.inf] * 20, [[1.0] * 20], ["a"] * 20, [None] * 20, 5.0, [[1.0], [1.0, 2.0]]]
)
def test_what_is_no_row_of_finite_numbers_is_refused(bad: object) -> None:
    with pytest.raises(DataError):
        percentile(bad, 0.5)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        percentile_interval([bad], 0.5)  # type: ignore[list-item]


def test_the_order_statistic_interval_is_the_tabulated_one() -> None:
    # The 95 % ranks for a median of n values (Conover, "Practical nonparametric statistics", from the
    # binomial): n = 20 has 6 and 15, n = 50 has 18 and 33, n = 100 has 40 and 61.
    for n, low, high in [(11, 2, 10), (20, 6, 15), (50, 18, 33), (100, 40, 61)]:
        assert percentile_interval([np.arange(1, n + 1)], 0.5) == (low, high)


def test_a_side_that_the_sample_cannot_bound_is_infinite() -> None:
    interval = percentile_interval([np.arange(11)], 0.5, confidence=0.9999)
    assert interval == (-math.inf, math.inf)


def _coverage(blocks: int, runs: int, p: float, between: float, trials: int) -> float:
    rng = np.random.default_rng(7)
    within = 0.1
    truth = math.exp(math.hypot(between, within) * {0.5: 0.0, 0.9: 1.281552}[p])
    hits = 0
    for _ in range(trials):
        values = np.exp(rng.normal(0, between, (blocks, 1)) + rng.normal(0, within, (blocks, runs)))
        interval = percentile_interval(list(values), p)
        assert interval is not None
        hits += interval[0] <= truth <= interval[1]
    return hits / trials


@pytest.mark.parametrize(
    ("blocks", "runs", "p", "between"),
    [(6, 20, 0.5, 0.05), (15, 20, 0.5, 0.1), (15, 20, 0.5, 0.0), (20, 20, 0.9, 0.03)],
)
def test_the_interval_holds_the_percentile_although_runs_of_a_block_are_alike(
    blocks: int, runs: int, p: float, between: float
) -> None:
    assert _coverage(blocks, runs, p, between, 60) >= 0.9


def test_blocks_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(0, 0.2, (10, 1)) + rng.normal(0, 0.02, (10, 30)))
    flat, blocked = percentile_interval([values.ravel()], 0.5), percentile_interval(list(values), 0.5)
    assert flat is not None
    assert blocked is not None
    assert blocked[0] <= flat[0] <= flat[1] <= blocked[1]
    assert blocked[1] - blocked[0] > 2 * (flat[1] - flat[0])
    assert percentile_interval(list(values), 0.5) == blocked


def test_blocks_may_differ_in_length_and_be_empty() -> None:
    interval = percentile_interval([[], [1.0] * 3, [2.0] * 40, [3.0] * 3], 0.5)
    assert interval is not None
    assert interval[0] <= 2.0 <= interval[1]


def _rounds(rng: np.random.Generator, rounds: int, ratio: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    drift = rng.normal(0, 0.4, (rounds, 1))
    a, b = (np.exp(drift + rng.normal(0, 0.03, (rounds, 1)) + rng.normal(0, 0.1, (rounds, 20))) for _ in "ab")
    return list(ratio * a), list(b)


@pytest.mark.parametrize("rounds", [2, 4, 6, 12, 20])
def test_the_ratio_interval_covers_and_drift_cancels(rounds: int) -> None:
    rng = np.random.default_rng(11)
    hits, widths = 0, []
    for _ in range(300):
        ratio, low, high = ratio_interval(*_rounds(rng, rounds, 0.8))
        assert low <= ratio <= high
        hits += low <= 0.8 <= high
        widths.append(high - low)
    assert hits / 300 >= 0.92
    if rounds == 20:  # the common drift of 40 % would alone make it 0.3 wide
        assert np.mean(widths) < 0.1


def test_one_disturbed_round_does_not_move_the_ratio() -> None:
    a, b = _rounds(np.random.default_rng(2), 9, 0.5)
    calm = ratio_interval(a, b)[0]
    a[4] = a[4] * 50
    assert ratio_interval(a, b)[0] == pytest.approx(calm, rel=0.05)


def test_a_ratio_turns_over_with_its_sides() -> None:
    a, b = _rounds(np.random.default_rng(5), 9, 0.7)
    ratio, low, high = ratio_interval(a, b)
    back, back_low, back_high = ratio_interval(b, a)
    assert (back, back_low, back_high) == pytest.approx((1 / ratio, 1 / high, 1 / low))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([[2.0]], [[4.0]], (0.5, 0.0, math.inf)),
        ([[2.0]] * 3, [[4.0]] * 3, (0.5, 0.5, 0.5)),
        ([[2.0]] * 9, [[4.0]] * 9, (0.5, 0.5, 0.5)),
    ],
)
def test_ratios_at_the_edges(a: list[list[float]], b: list[list[float]], expected: tuple[float, ...]) -> None:
    assert ratio_interval(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([[1.0]], []),
        ([[1.0]], [[1.0], [1.0]]),
        ([[]], [[1.0]]),
        ([[0.0]], [[1.0]]),
        ([[math.nan]], [[1.0]]),
    ],
)
def test_rounds_that_cannot_be_compared_are_refused(a: list[list[float]], b: list[list[float]]) -> None:
    with pytest.raises(DataError):
        ratio_interval(a, b)


def test_a_confidence_is_a_fraction() -> None:
    with pytest.raises(UsageError, match="confidence"):
        ratio_interval([[1.0]], [[1.0]], confidence=95)
    with pytest.raises(UsageError, match="confidence"):
        percentile_interval([[1.0] * 20], 0.5, confidence=95)
