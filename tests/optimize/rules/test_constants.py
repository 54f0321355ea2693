from __future__ import annotations

import numpy as np
import pytest

from edgeproof.formats.graph import constants, copy_of, value_of
from edgeproof.optimize.rules.constants import fold_constants, store_constants


def test_constant_nodes_become_stored_tensors(graphs):
    import onnx

    value = onnx.numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32))
    nodes = [
        graphs.node("Constant", "", "a", value=value),
        graphs.node("Constant", "", "b", value_float=2.0),
        graphs.node("Constant", "", "c", value_ints=[0, -1]),
        graphs.node("Add", "x a", "d"),
        graphs.node("Mul", "d b", "e"),
        graphs.node("Reshape", "e c", "y"),
    ]
    model = graphs.model(nodes, {}, outputs={"y": 2})
    copy = copy_of(model)
    assert store_constants(copy) == 3
    x = graphs.pictures(1, 3, 8, 8)
    np.testing.assert_array_equal(graphs.run(copy, x)[0], graphs.run(model, x)[0])


def test_chains_of_known_values_are_computed(graphs):
    nodes = [
        graphs.node("Shape", "w", "a"),
        graphs.node("ConstantOfShape", "a", "b"),
        graphs.node("Add", "b w", "c"),
        graphs.node("Conv", "x c", "y"),
    ]
    model = graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)})
    assert fold_constants(model) == 3
    assert graphs.kinds(model) == {"Conv": 1}
    np.testing.assert_array_equal(value_of(constants(model.graph)["c"]), graphs.weight(4, 3, 3, 3))


@pytest.mark.parametrize(
    "node",
    [
        ("ConstantOfShape", "huge", "a"),  # 4 GB
        ("ConstantOfShape", "wraps", "a"),  # 2**64 elements, 0 in int64
        ("RandomUniformLike", "w", "a"),
        ("DequantizeLinear", "q w", "a"),
        ("Relu", "x", "a"),
    ],
)
def test_what_is_large_random_or_stored_small_on_purpose_stays(graphs, node):
    weights = {
        "huge": np.array([2**30]),
        "wraps": np.array([2**32, 2**32]),
        "w": np.float32(1),
        "q": np.zeros(5, np.int8),
    }
    model = graphs.model([graphs.node(*node), graphs.node("Relu", "x", "y")], weights)
    assert fold_constants(model) == 0


def test_an_error_in_a_node_is_left_to_the_runtime(graphs):
    model = graphs.model(
        [graphs.node("Reshape", "w s", "a"), graphs.node("Relu", "x", "y")],
        {"w": graphs.weight(4), "s": np.array([3])},
    )
    assert fold_constants(model) == 0
