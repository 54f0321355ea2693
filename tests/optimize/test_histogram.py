from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeproof.core.errors import InputError
from edgeproof.optimize.histogram import Histogram
from edgeproof.optimize.qdq import asymmetric_uint8

VALUES = hnp.arrays(
    np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
)


def filled(*arrays, bins=2048):
    histogram = Histogram(bins)
    for array in arrays:
        histogram.add(array)
    return histogram


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_growing_gives_what_one_look_at_everything_gives(arrays):
    grown, at_once = filled(*arrays, bins=16), filled(np.concatenate(arrays), bins=16)
    assert grown.width == at_once.width
    np.testing.assert_array_equal(grown.counts, at_once.counts)
    values = np.concatenate(arrays)
    assert grown.counts.sum() == values.size
    assert grown.minmax() == (min(float(values.min()), 0.0), max(float(values.max()), 0.0))
    assert grown.zeros == np.count_nonzero(values == 0)


@pytest.mark.parametrize("percent", [90.0, 99.0, 99.9])
@pytest.mark.parametrize("name", ["normal", "relu", "negative", "uniform", "shifted"])
def test_percentiles_are_numpys(name, percent):
    rng = np.random.default_rng(3)
    normal = rng.standard_normal(200_000)
    values = {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "negative": -np.abs(normal),
        "uniform": rng.uniform(-2, 5, 200_000),
        "shifted": normal + 10,
    }[name].astype(np.float32)
    low, high = filled(*np.split(values, 10)).percentile(percent)
    side = (100 - percent) / 200
    assert low == pytest.approx(min(np.quantile(values, side), 0), abs=0.01)
    assert high == pytest.approx(max(np.quantile(values, 1 - side), 0), abs=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), st.floats(1, 100))
def test_every_range_holds_zero_and_stays_within_the_extremes(arrays, percent):
    histogram = filled(*arrays)
    least, most = histogram.minmax()
    for low, high in (histogram.percentile(percent), histogram.mse()):
        assert least <= low <= 0 <= high <= most


def error_of(values, low, high):
    scale, zero = asymmetric_uint8(low, high)
    levels = np.clip(np.rint(values / scale) + float(zero), 0, 255)
    return float((((levels - float(zero)) * scale - values) ** 2).mean())


@pytest.mark.parametrize("name", ["normal", "laplace", "relu6", "uniform"])
def test_the_mse_range_is_about_as_good_as_the_best(name):
    rng = np.random.default_rng(5)
    values = {
        "normal": rng.standard_normal(50_000),
        "laplace": rng.laplace(size=50_000),
        "relu6": np.clip(rng.standard_normal(50_000) * 4, 0, 6),
        "uniform": rng.uniform(-1, 1, 50_000),
    }[name].astype(np.float32)
    histogram = filled(values)
    least, most = histogram.minmax()
    best = min(
        error_of(values, least * a, most * b)
        for a in np.linspace(0.1, 1, 19)
        for b in np.linspace(0.1, 1, 19)
    )
    assert error_of(values, *histogram.mse()) <= 1.1 * best


def test_an_outlier_is_clipped_by_mse_and_percentile_only():
    values = np.random.default_rng(0).uniform(0, 1, 1_000_000).astype(np.float32)
    values[0] = 3.0
    histogram = filled(values)
    assert histogram.minmax()[1] == 3.0
    assert histogram.percentile(99.99)[1] < 1.01
    assert histogram.mse()[1] < 2.0


def test_zeros_do_not_pull_the_mse_range_in():
    # Zero is a level of its own: any number of them changes no other value's error.
    values = np.random.default_rng(0).laplace(size=20_000).astype(np.float32)
    many_zeros = np.concatenate([values, np.zeros(1_000_000, np.float32)])
    assert filled(many_zeros).mse() == filled(values).mse()


def test_nothing_and_zeros_alone_have_an_empty_range():
    for histogram in (filled(), filled(np.zeros(9, np.float32)), filled(np.zeros(0, np.float32))):
        assert histogram.minmax() == histogram.percentile(99.0) == histogram.mse() == (0.0, 0.0)


def test_memory_does_not_grow():
    histogram = filled(np.ones(1000, np.float32))
    before = histogram.counts.nbytes
    for power in range(30):
        histogram.add(np.full(1000, 2.0**power, np.float32))
    assert histogram.counts.nbytes == before


@pytest.mark.parametrize("bins", [0, 1, 3, -2])
def test_odd_bins_are_refused(bins):
    with pytest.raises(InputError):
        Histogram(bins)
