"""A gallery's own error rates against a plain count, and when they prove nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, UsageError
from edgeproof.gallery import error_rates as module
from edgeproof.gallery.error_rates import error_rates
from gallery.people import vectors


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    rows=st.integers(2, 90),
    people=st.integers(2, 30),
    threshold=st.floats(-1, 1),
    tile=st.sampled_from([(7, 11), (16, 16), (512, 8192)]),
)
def test_the_counts_are_those_of_all_pairs(
    seed: int, rows: int, people: int, threshold: float, tile: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    made = vectors(rows, 32, seed)
    owners = random.integers(0, people, rows)
    owners[:2] = 0, 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", tile[0])
        patch.setattr(module, "_COLUMNS", tile[1])
        rates = error_rates(made, owners)
    first, second = np.triu_indices(rows, 1)
    similar, same = (made[first] * made[second]).sum(axis=1), owners[first] == owners[second]
    assert (rates.impostor_pairs, rates.genuine_pairs) == ((~same).sum(), same.sum())
    found = rates.at(threshold)
    low, high = (found.threshold + shift for shift in (-1e-4, 1e-4))
    assert (similar[~same] >= high).mean() <= found.far <= (similar[~same] >= low).mean()
    if same.any():
        assert found.frr is not None
        assert (similar[same] < low).mean() <= found.frr <= (similar[same] < high).mean()
    else:
        assert found.frr is None
    matrix = made @ made.T
    matrix[owners[:, None] == owners] = -1
    np.testing.assert_allclose(rates.nearest, matrix.max(axis=1), atol=1e-6)
    assert rates.closest[0][2] == pytest.approx(matrix.max(), abs=1e-6)


def test_a_proposal_needs_enough_pairs() -> None:
    rates = error_rates(vectors(100, 64), np.arange(100))
    assert rates.impostor_pairs == 4950
    assert rates.propose(1e-4) is None
    assert rates.needed(1e-4) == 30_000
    found = rates.propose(1e-3)
    assert found is not None
    assert found.far <= 1e-3 < rates.at(found.threshold - 2e-4).far
    assert [far for far, _ in rates.curve()] == [1e-1, 1e-2, 1e-3]


def test_people_enrolled_twice_are_named() -> None:
    made = vectors(50, 64)
    made[7] = made[31]
    rates = error_rates(made, np.arange(100, 150))
    assert rates.closest[0][:2] == (107, 131)
    assert rates.closest[0][2] == pytest.approx(1, abs=1e-5)


def test_a_stranger_meets_the_nearest_of_all() -> None:
    rates = error_rates(vectors(400, 32), np.arange(400))
    found = rates.at(0.5)
    assert found.per_search > 20 * found.far > 0


def test_one_person_is_no_pair() -> None:
    with pytest.raises(DataError, match="two people"):
        error_rates(vectors(5), np.zeros(5, np.int64))


@pytest.mark.parametrize("far", [0, 1, -1, 2, float("nan")])
def test_a_rate_that_is_no_share_is_refused(far: float) -> None:
    with pytest.raises(UsageError, match="false-accept"):
        error_rates(vectors(5), np.arange(5)).propose(far)


def test_a_large_gallery_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TEMPLATES", 60)
    rates = error_rates(vectors(200, 32), np.arange(200))
    assert (rates.templates, rates.total, rates.impostor_pairs) == (60, 200, 60 * 59 // 2)
