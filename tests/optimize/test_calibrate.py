from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from edgeproof.core.errors import DataError, InputError, ModelError
from edgeproof.optimize.calibrate import collect_ranges


@pytest.fixture
def network(graphs):
    nodes = [graphs.node("Conv", "x w", "a"), graphs.node("Relu", "a", "b"), graphs.node("Conv", "b v", "y")]
    return graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3), "v": graphs.weight(2, 4, 3, 3)})


def test_ranges_are_those_of_the_tensors(graphs, network):
    pictures = graphs.pictures(6, 3, 8, 8)
    ranges = collect_ranges(network, ({"x": picture[None]} for picture in pictures))
    assert ranges.samples == 6
    assert set(ranges.histograms) == {"x", "b", "y"}  # a is never rounded: Relu is part of its convolution
    low, high = ranges.minmax()["y"]
    y = graphs.run(network, pictures)[0]
    assert (low, high) == (pytest.approx(y.min(), rel=1e-5), pytest.approx(y.max(), rel=1e-5))
    assert ranges.minmax()["x"] == (pictures.min(), pictures.max())
    assert ranges.minmax()["b"][0] == 0.0
    assert ranges.mse().keys() == ranges.percentile().keys() == ranges.minmax().keys()


def test_one_sample_is_held_at_a_time(graphs, network):
    def peak(count):
        tracemalloc.start()
        collect_ranges(network, ({"x": graphs.pictures(1, 3, 64, 64, seed=seed)} for seed in range(count)))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    for entry in (network.graph.input[0],):
        entry.type.tensor_type.shape.dim[2].dim_value = entry.type.tensor_type.shape.dim[3].dim_value = 64
    peak(1)
    assert peak(60) < peak(6) + 100_000  # 54 more samples are 2.6 MB


def test_no_samples_and_samples_that_do_not_fit_are_typed_errors(graphs, network):
    with pytest.raises(DataError):
        collect_ranges(network, [])
    for feeds in (
        {"z": graphs.pictures(1, 3, 8, 8)},
        {"x": graphs.pictures(1, 3, 8, 9)},
        {"x": np.zeros((1, 3, 8, 8))},
    ):
        with pytest.raises(InputError):
            collect_ranges(network, [feeds])


def test_nan_in_a_sample_is_a_typed_error(graphs, network):
    picture = graphs.pictures(1, 3, 8, 8)
    picture[0, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="Sample 2"):
        collect_ranges(network, [{"x": graphs.pictures(1, 3, 8, 8)}, {"x": picture}])


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.1, float("nan")])
def test_a_percentile_out_of_bounds_is_refused(graphs, network, percent):
    ranges = collect_ranges(network, [{"x": graphs.pictures(1, 3, 8, 8)}])
    with pytest.raises(InputError):
        ranges.percentile(percent)
