"""Trend, step, modes, stalls, warm-up: each against what was planted, and against nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import DataError
from edgeproof.measure.change import find_step
from edgeproof.measure.latencies import describe
from edgeproof.measure.modes import dip, find_modes
from edgeproof.measure.stalls import find_stalls
from edgeproof.measure.steady import steady_from
from edgeproof.measure.synthetic import related
from edgeproof.measure.trend import mann_kendall, slope_interval, theil_sen


def test_the_slope_is_that_of_the_line_whatever_a_quarter_of_the_values_do() -> None:
    x = np.arange(40.0)
    y = 3.0 + 0.5 * x
    y[::4] += 1000.0
    assert theil_sen(x, y) == pytest.approx(0.5)
    assert theil_sen(np.zeros(5), np.arange(5.0)) == 0.0


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_the_interval_of_the_slope_holds_it_although_neighbours_are_alike(r: float) -> None:
    x, hits = np.arange(200.0), 0
    for seed in range(60):
        found = slope_interval(x, 0.01 * x + related(np.random.default_rng(seed), 200, r), seed=seed)
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.01 <= found.high
    assert hits >= 49  # its docstring tells how far it is from 95 %


def test_mann_kendall_is_that_of_the_textbook() -> None:
    # S = 8 - 2 = 6 of 10 pairs, Var S = 5 * 4 * 15 / 18: z = 5 / 4.082 (Gilbert 1987, 16.4.1).
    found = mann_kendall(np.array([1.0, 2.0, 3.0, 5.0, 2.5]))
    assert found.tau == pytest.approx(0.6)
    assert found.p == pytest.approx(0.2207, abs=1e-3)
    assert mann_kendall(np.ones(50)).p == 1.0
    assert mann_kendall(np.arange(3.0)).p == 1.0


def test_neighbours_that_are_alike_are_no_trend() -> None:
    alarms = sum(
        mann_kendall(related(np.random.default_rng(seed), 120, 0.7)).p < 0.002 for seed in range(100)
    )
    assert alarms <= 3  # without the correction it is 14


@pytest.mark.parametrize("at", [60, 150, 240])
def test_a_step_is_found_where_it_is(at: int) -> None:
    values = 10 + 0.3 * related(np.random.default_rng(at), 300, 0.4)
    values[at:] += 1.0
    found = find_step(values)
    assert found.p <= 0.002
    assert abs(found.at - at) <= 6
    assert found.ratio == pytest.approx(1.1, abs=0.02)
    assert found.sharp


def test_the_dip_is_hartigans() -> None:
    # Evenly spread values are as near to one mode as a sample can be: 1 / (2 n). Two far groups: almost 1 / 4.
    assert dip(np.arange(100.0)) == pytest.approx(1 / 200)
    groups = np.sort(np.concatenate([np.linspace(0, 0.01, 50), np.linspace(5, 5.01, 50)]))
    assert dip(groups) == pytest.approx(0.25, abs=0.01)


def test_two_modes_are_told_with_their_share() -> None:
    random = np.random.default_rng(1)
    slow = random.random(2000) < 0.3
    found = find_modes(np.exp(0.05 * random.normal(size=2000)) * np.where(slow, 16.0, 10.0))
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(10, rel=0.02), pytest.approx(16, rel=0.02))
    assert found.share_high == pytest.approx(slow.mean(), abs=0.02)
    assert find_modes(np.exp(0.3 * random.normal(size=2000))) is None
    assert find_modes(np.full(2000, 7.0)) is None
    assert find_modes(np.array([1.0, 2.0] * 20)) is None  # too few to say


@pytest.mark.parametrize("every", [7, 50, 133])
def test_stalls_are_found_with_their_interval(every: int) -> None:
    random = np.random.default_rng(every)
    values = 10 * np.exp(0.1 * random.normal(size=6000))
    values[3::every] *= 5
    found = find_stalls(values)
    assert found is not None
    assert (found.every, found.unit) == (pytest.approx(every, rel=0.01), "runs")
    assert found.times == pytest.approx(5, rel=0.1)


def test_stalls_of_a_timer_are_found_in_seconds() -> None:
    random = np.random.default_rng(2)
    values, clock, due = [], 0.0, 1000.0
    while len(values) < 20_000:
        took = 10 * float(np.exp(0.3 * random.normal()))
        if clock >= due:
            took, due = took + 60, due + 1000.0
        clock += took
        values.append(took)
    found = find_stalls(np.array(values))
    assert found is not None
    assert (found.every, found.unit) == (pytest.approx(1.0, rel=0.02), "seconds")


def test_slow_runs_at_random_are_no_stalls() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = np.where(random.random(5000) < 0.02, 50.0, 10.0)
        assert find_stalls(values) is None


def test_the_warm_up_ends_where_the_level_is_reached() -> None:
    random = np.random.default_rng(3)
    values = 10 + 0.2 * random.normal(size=1000)
    values[:100] += np.linspace(10, 0, 100)
    found = steady_from(values)
    assert found is not None
    assert 60 <= found <= 130
    assert steady_from(np.linspace(20, 10, 1000)) is None  # never settles
    assert steady_from(np.ones(10)) is None


def test_a_series_without_anything_shows_nothing() -> None:
    values = 10 * np.exp(0.08 * related(np.random.default_rng(4), 3000, 0.5))
    found = describe(values)
    assert (found.drift, found.step, found.stalls, found.modes) == (None, None, None, None)
    assert describe(values[:20]).steady_from is None
    assert describe([]).runs == 0


@pytest.mark.parametrize("bad", [[1.0, float("nan")], [1.0, 0.0], [[1.0], [2.0]]])
def test_what_is_no_row_of_latencies_is_refused(bad: object) -> None:
    with pytest.raises(DataError):
        describe(bad)  # type: ignore[arg-type]
