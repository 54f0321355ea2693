from __future__ import annotations

import numpy as np
import pytest

from edgeproof.formats.graph import copy_of
from edgeproof.optimize.rules.batchnorm import fold_batch_norms


def check(graphs, model):
    copy = copy_of(model)
    count = fold_batch_norms(copy)
    x = graphs.pictures(2, 4, 8, 8)
    for new, old in zip(graphs.run(copy, x), graphs.run(model, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-4)
    return count


def weights(graphs):
    parts = {name: graphs.weight(4, seed=seed) for seed, name in enumerate("stmu")}
    return {
        **parts,
        "v": np.abs(graphs.weight(4, seed=9)) + 0.1,
        "w": graphs.weight(4, 4, 3, 3),
        "d": graphs.weight(4, 1, 3, 3),
        "b": graphs.weight(4, seed=8),
    }


@pytest.mark.parametrize(
    ("nodes", "outputs", "count"),
    [
        ([("Conv", "x w", "a"), ("BatchNormalization", "a s t m v", "y")], {"y": 4}, 1),
        ([("Conv", "x w b", "a"), ("BatchNormalization", "a s t m v", "y")], {"y": 4}, 1),
        ([("Conv", "x d b", "a"), ("BatchNormalization", "a s t m v", "y")], {"y": 4}, 1),
        (
            [("Conv", "x w", "a"), ("BatchNormalization", "a s t m v", "c"), ("Conv", "c w", "e"),
             ("BatchNormalization", "e t s m v", "y")],
            {"y": 4},
            2,
        ),
        ([("Conv", "x w", "a"), ("BatchNormalization", "a s t m v", "y")], {"y": 4, "a": 4}, 0),
        ([("Conv", "x w", "a"), ("BatchNormalization", "a s t m v", "y"), ("Relu", "a", "z")],
            {"y": 4, "z": 4}, 0),
        ([("BatchNormalization", "x s t m v", "y")], {"y": 4}, 0),
        ([("Relu", "x", "a"), ("BatchNormalization", "a s t m v", "y")], {"y": 4}, 0),
    ],
)  # fmt: skip
def test_only_behind_a_convolution_of_its_own(graphs, nodes, outputs, count):
    made = [
        graphs.node(
            *node,
            **({"group": 4} if " d" in node[1] else {}),
            **({"epsilon": 1e-3} if "Batch" in node[0] else {}),
        )
        for node in nodes
    ]
    model = graphs.model(made, weights(graphs), shape=("N", 4, 8, 8), outputs=outputs)
    assert check(graphs, model) == count


def test_training_mode_stays(graphs):
    nodes = [
        graphs.node("Conv", "x w", "a"),
        graphs.node("BatchNormalization", "a s t m v", "y rm rv", training_mode=1),
    ]
    assert fold_batch_norms(graphs.model(nodes, weights(graphs), shape=("N", 4, 8, 8))) == 0
