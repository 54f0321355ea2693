from __future__ import annotations

import numpy as np
import pytest

from edgeproof.formats.graph import copy_of
from edgeproof.optimize.rules.identities import drop_identities


def check(graphs, model):
    copy = copy_of(model)
    count = drop_identities(copy)
    x = graphs.pictures(2, 3, 8, 8)
    for new, old in zip(graphs.run(copy, x), graphs.run(model, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)
    assert copy.graph.output == model.graph.output
    return count


@pytest.mark.parametrize(
    ("nodes", "outputs", "count"),
    [
        ([("Identity", "x", "a"), ("Relu", "a", "y")], {"y": 4}, 1),
        ([("Relu", "x", "a"), ("Identity", "a", "y")], {"y": 4}, 1),
        ([("Identity", "x", "y")], {"y": 4}, 0),  # input straight to output needs its node
        ([("Relu", "x", "a"), ("Identity", "a", "y")], {"y": 4, "a": 4}, 0),
        ([("Relu", "x", "a"), ("Identity", "a", "y"), ("Identity", "a", "z")], {"y": 4, "z": 4}, 1),
        (
            [("Relu", "x", "a"), ("Identity", "a", "b"), ("Identity", "b", "y"), ("Neg", "b", "z")],
            {"y": 4, "z": 4},
            2,
        ),
        (
            [("Relu", "x", "a"), ("Identity", "a", "y"), ("Neg", "a", "z"), ("Neg", "y", "u")],
            {"y": 4, "z": 4, "u": 4},
            1,
        ),
        ([("Dropout", "x", "a"), ("Relu", "a", "y")], {"y": 4}, 1),
        ([("Dropout", "x r f", "a"), ("Relu", "a", "y")], {"y": 4}, 1),
        ([("Identity", "w", "a"), ("Add", "x a", "y")], {"y": 4}, 1),
    ],
)
def test_nodes_that_hand_on_are_removed(graphs, nodes, outputs, count):
    weights = {"r": np.float32(0.5), "f": np.array(False), "w": np.ones((1, 3, 1, 1), np.float32)}
    model = graphs.model([graphs.node(*node) for node in nodes], weights, outputs=outputs)
    assert check(graphs, model) == count


def test_dropout_that_trains_stays(graphs):
    weights = {"r": np.float32(0.5), "t": np.array(True)}
    model = graphs.model([graphs.node("Dropout", "x r t", "a"), graphs.node("Relu", "a", "y")], weights)
    assert drop_identities(model) == 0


def test_what_a_subgraph_sees_keeps_its_name(graphs):
    import onnx

    def branch(kind):
        info = onnx.helper.make_tensor_value_info(f"{kind}_out", onnx.TensorProto.FLOAT, ["a", "b", "c", "d"])
        return onnx.helper.make_graph([graphs.node(kind, "seen", f"{kind}_out")], kind, [], [info])

    nodes = [
        graphs.node("Relu", "x", "a"),
        graphs.node("Identity", "a", "seen"),
        graphs.node("If", "c", "y", then_branch=branch("Neg"), else_branch=branch("Abs")),
    ]
    assert check(graphs, graphs.model(nodes, {"c": np.array(True)})) == 1
