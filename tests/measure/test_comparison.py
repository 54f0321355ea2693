"""What differs is told, what is the same is not, and what repeats is the process."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from edgeproof.core.errors import DataError
from edgeproof.measure.comparison import Comparison, cliffs_delta, compare, mann_whitney

Processes = list[list[list[float]]]


def _world(
    seed: int, ratio: float, *, between: float = 0.1, mood: float = 0.3, together: bool = True
) -> tuple[Processes, Processes, float]:
    """Two things on a machine whose speed wanders: processes differ, blocks too, and runs."""
    rng = np.random.default_rng(seed)

    def moods() -> np.ndarray:
        level, steps = rng.normal(0, mood), rng.normal(0, mood / 4, 48)
        return (level + np.cumsum(steps) * 0.5).reshape(8, 6)

    def measured(times: float, moods: np.ndarray) -> Processes:
        return [
            [
                list(times * np.exp(level + own + rng.normal(0, 0.05) + rng.normal(0, 0.1, 5)))
                for level in process
            ]
            for process, own in zip(moods, rng.normal(0, between, 8), strict=True)
        ]

    first = moods()
    second = first if together else moods()
    moved = float(np.median(np.exp(first)) / np.median(np.exp(second)))
    return measured(ratio, first), measured(1.0, second), moved


def _verdicts(
    ratio: float, tries: int, *, together: bool, between: float = 0.1, mood: float = 0.3
) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(tries):
        this, other, moved = _world(seed, ratio, between=between, mood=mood, together=together)
        found[compare(this, other, together=together, moved=moved).verdict] += 1
    return found


@pytest.mark.parametrize("together", [True, False])
def test_the_same_thing_is_never_called_faster_or_slower(together: bool) -> None:
    assert _verdicts(1.0, 25, together=together)["can't tell"] >= 24


@pytest.mark.parametrize(
    ("ratio", "together", "verdict"),
    [(0.3, True, "faster"), (3.4, True, "slower"), (0.25, False, "faster"), (4.0, False, "slower")],
)
def test_a_large_difference_is_told_on_a_machine_that_wanders(
    ratio: float, together: bool, verdict: str
) -> None:
    assert _verdicts(ratio, 12, together=together)[verdict] >= 11


def test_a_smaller_one_is_told_where_processes_are_alike() -> None:
    assert _verdicts(0.8, 15, together=True, between=0.005, mood=0.05)["faster"] >= 14


def test_thousands_of_runs_in_two_speeds_of_process_are_no_evidence() -> None:
    """Each process has a speed of its own: with 3 against 3 chance alone sorts them."""
    fast, slow = [[7.35] * 2000], [[11.2] * 2000]
    found = compare([fast, slow, fast], [slow, fast, slow], together=True)
    assert found.verdict == "can't tell"
    assert abs(found.effect) > 0.3


def test_what_the_machine_did_cancels_between_blocks_measured_in_turns() -> None:
    this, other, _ = _world(1, 0.8, between=0.0, mood=0.5)
    found = compare(this, other, together=True)
    assert found.ratio == pytest.approx(0.8, rel=0.05)
    assert found.ci[1] - found.ci[0] < 0.2
    assert found.moved is None


def test_a_machine_that_moved_widens_the_interval_by_as_much() -> None:
    this, other, _ = _world(3, 1.0, between=0.01, mood=0.0, together=False)
    slower = [[[2 * value for value in block] for block in process] for process in this]
    assert compare(slower, other, together=False, moved=1.0).verdict == "slower"
    moved = compare(slower, other, together=False, moved=2.0)
    assert moved.verdict == "can't tell"
    assert moved.ci[0] < 1 < moved.ratio


def test_pairs_that_agree_on_little_are_no_evidence_among_processes_that_differ_by_much() -> None:
    speeds = [10.0, 13.0, 9.0, 12.0, 15.0, 11.0, 10.5, 14.0]
    this = [[[1.05 * speed] * 5] * 4 for speed in speeds]
    found = compare(this, [[[speed] * 5] * 4 for speed in speeds], together=True)
    assert found.ci == pytest.approx((1.05, 1.05))
    assert found.p > 0.3
    assert found.verdict == "can't tell"


def test_one_process_each_says_nothing() -> None:
    one, other = [[[1.0] * 100] * 10], [[[9.0] * 100] * 10]
    for together in (True, False):
        found = compare(one, other, together=together)
        assert found.verdict == "can't tell"
        assert found.ci == (0.0, math.inf)


def test_turned_over_it_says_the_opposite() -> None:
    this, other, _ = _world(5, 0.3)
    one, back = compare(this, other, together=True), compare(other, this, together=True)
    assert isinstance(one, Comparison)
    assert (one.verdict, back.verdict) == ("faster", "slower")
    assert back.ratio == pytest.approx(1 / one.ratio, rel=0.02)
    assert back.effect == pytest.approx(-one.effect)


@pytest.mark.parametrize("together", [True, False])
def test_nothing_measured_is_refused(together: bool) -> None:
    for this, other in (([], [[[1.0]]]), ([[[1.0]]], [[]])):
        with pytest.raises(DataError, match="no runs"):
            compare(this, other, together=together)


def test_mann_whitney_is_exact() -> None:
    """Against every order of 4 and 5 values; 8 against 8 wholly apart are 2 of 12,870."""
    values = range(9)
    u_of = [
        sum(a > b for a in chosen for b in set(values) - set(chosen))
        for chosen in itertools.combinations(values, 4)
    ]
    for chosen in itertools.islice(itertools.combinations(values, 4), 0, None, 7):
        rest = [value for value in values if value not in chosen]
        u = sum(a > b for a in chosen for b in rest)
        extreme = sum(one <= min(u, 20 - u) for one in u_of)
        expected = min(1.0, 2 * extreme / len(u_of))
        assert mann_whitney([*map(float, chosen)], [*map(float, rest)]) == pytest.approx(expected)
    assert mann_whitney(list(range(8)), list(range(10, 18))) == pytest.approx(2 / 12870)
    assert mann_whitney([1.0] * 5, [1.0] * 5) == 1.0


@pytest.mark.parametrize(
    ("this", "other", "delta"),
    [
        ([1, 2], [3, 4], -1.0),
        ([3, 4], [1, 2], 1.0),
        ([1, 2], [1, 2], 0.0),
        ([1, 5], [2, 3], 0.0),
        ([2], [1, 2], 0.5),
    ],
)
def test_cliffs_delta(this: list[float], other: list[float], delta: float) -> None:
    assert cliffs_delta(this, other) == delta
