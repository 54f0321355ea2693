from __future__ import annotations

import numpy as np

from edgeproof.formats.graph import copy_of
from edgeproof.optimize.rules.unused import (
    drop_domains,
    drop_nodes,
    drop_tensors,
    drop_weights_from_inputs,
    share_constants,
)


def test_nodes_and_tensors_that_no_output_needs_go(graphs):
    nodes = [graphs.node("Mul", "x w", "a"), graphs.node("Relu", "a", "b"), graphs.node("Relu", "x", "y")]
    model = graphs.model(nodes, {"w": np.float32(2), "z": np.float32(3)})
    assert drop_tensors(model) == 1
    assert drop_nodes(model) == 2
    assert drop_tensors(model) == 1
    assert graphs.kinds(model) == {"Relu": 1}
    assert not model.graph.initializer


def test_equal_tensors_are_stored_once_and_others_kept_apart(graphs):
    nodes = [
        graphs.node("Add", "x a", "p"),
        graphs.node("Add", "p b", "q"),
        graphs.node("Add", "q c", "r"),
        graphs.node("Add", "r d", "y"),
    ]
    one = np.ones(1, np.float32)
    weights = {"a": one, "b": one, "c": one.reshape(1, 1), "d": one * 2}
    model = graphs.model(nodes, weights)
    copy = copy_of(model)
    assert share_constants(copy) == 1
    assert [tensor.name for tensor in copy.graph.initializer] == ["a", "c", "d"]
    x = graphs.pictures(1, 3, 8, 8)
    np.testing.assert_array_equal(graphs.run(copy, x)[0], graphs.run(model, x)[0])


def test_minus_zero_is_not_zero(graphs):
    nodes = [graphs.node("Add", "x a", "p"), graphs.node("Add", "p b", "y")]
    assert share_constants(graphs.model(nodes, {"a": np.float32(0.0), "b": np.float32(-0.0)})) == 0


def test_operator_sets_of_no_node_go(graphs):
    import onnx

    model = graphs.model([graphs.node("Relu", "x", "y")], {})
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert drop_domains(model) == 1
    assert [entry.domain for entry in model.opset_import] == [""]
    model.graph.node.append(onnx.helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft"))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert drop_domains(model) == 0


def test_weights_listed_as_inputs_become_weights(graphs):
    model = graphs.model(
        [graphs.node("Conv", "x w", "y")], {"w": graphs.weight(4, 3, 3, 3)}, listed=True, opset=8
    )
    copy = copy_of(model)
    assert drop_weights_from_inputs(copy) == 1
    assert [entry.name for entry in copy.graph.input] == ["x"]
    x = graphs.pictures(1, 3, 8, 8)
    np.testing.assert_allclose(graphs.run(copy, x)[0], graphs.run(model, x)[0], atol=1e-6)
