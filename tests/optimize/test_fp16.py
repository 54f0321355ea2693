from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.optimize.fp16 import fp16_weights
from edgeproof.optimize.simplify import simplify


def two_convolutions(graphs, **changed):
    nodes = [graphs.node("Conv", "x w b", "a"), graphs.node("Conv", "a v", "y")]
    weights = {"w": graphs.weight(64, 3, 3, 3), "b": graphs.weight(64), "v": graphs.weight(32, 64, 3, 3)}
    return graphs.model(nodes, {**weights, **changed})


def test_half_the_size_and_almost_the_same_answer(graphs):
    model = two_convolutions(graphs)
    result = fp16_weights(model)
    assert result.changed
    assert result.model.ByteSize() < 0.52 * model.ByteSize()
    assert graphs.kinds(result.model) == {"Cast": 2, "Conv": 2}
    x = graphs.pictures(2, 3, 8, 8)
    np.testing.assert_allclose(graphs.run(result.model, x)[0], graphs.run(model, x)[0], atol=1e-2)
    assert graphs.kinds(simplify(result.model).model)["Cast"] == 2, "simplify must not undo it"


def test_a_weight_beyond_the_range_stays_and_is_named(graphs):
    large = graphs.weight(32, 64, 3, 3)
    large[0, 0, 0, 0] = 1e5
    result = fp16_weights(two_convolutions(graphs, v=large))
    assert graphs.kinds(result.model)["Cast"] == 1
    assert any(note.startswith("v stays float32") for note in result.notes)


def test_small_tensors_and_scales_of_quantised_ones_stay(graphs):
    nodes = [
        graphs.node("DequantizeLinear", "q s", "w", axis=0),
        graphs.node("Conv", "x w", "a"),
        graphs.node("Mul", "a m", "y"),
    ]
    weights = {"q": np.ones((2048, 3, 1, 1), np.int8), "s": np.ones(2048, np.float32), "m": np.float32(2)}
    assert not fp16_weights(graphs.model(nodes, weights)).changed


def test_nan_is_a_typed_error(graphs):
    weight = graphs.weight(64, 3, 3, 3)
    weight[0, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="NaN"):
        fp16_weights(two_convolutions(graphs, w=weight))
