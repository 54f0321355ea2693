from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.formats.graph import copy_of
from edgeproof.optimize.rules.normalisation import fold_normalisation

CHANNELS = np.array([0.5, 2.0, 3.0], np.float32).reshape(1, 3, 1, 1)


def check(graphs, model, shape=(3, 8, 8)):
    copy, count = copy_of(model), 0
    while fold_normalisation(copy):
        count += 1
    x = graphs.pictures(2, *shape)
    for new, old in zip(graphs.run(copy, x), graphs.run(model, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-4)
    return count


@pytest.mark.parametrize(
    ("nodes", "padded", "count"),
    [
        ([("Mul", "x c", "a")], True, 1),
        ([("Mul", "c x", "a")], True, 1),
        ([("Div", "x c", "a")], True, 1),
        ([("Mul", "x one", "a")], True, 1),
        ([("Sub", "x c", "a")], False, 1),
        ([("Add", "c x", "a")], False, 1),
        ([("Sub", "x c", "a")], True, 0),  # the zeros of the padding come after the shift
        ([("Add", "x one", "a")], True, 0),
        ([("Sub", "x c", "b"), ("Mul", "b c", "a")], True, 1),
        ([("Sub", "x c", "b"), ("Div", "b c", "a")], False, 2),
        ([("Mul", "x c", "b"), ("Add", "b one", "a")], False, 2),
        ([("Mul", "x c", "b"), ("Add", "b one", "a")], True, 0),
        ([("Sub", "c x", "a")], False, 0),
        ([("Div", "c x", "a")], False, 0),
        ([("Mul", "x picture", "a")], False, 0),
        ([("Div", "x zero", "a")], False, 0),
        ([("Mul", "x inf", "a")], False, 0),
    ],
)
def test_scalings_always_and_shifts_without_padding(graphs, nodes, padded, count):
    conv = graphs.node("Conv", "a w k", "y", pads=[1, 1, 1, 1] if padded else [0, 0, 0, 0])
    weights = {
        "c": CHANNELS,
        "one": np.float32(1.5),
        "picture": graphs.weight(8, 8),
        "zero": np.float32(0),
        "inf": np.float32(np.inf),
        "w": graphs.weight(4, 3, 3, 3),
        "k": graphs.weight(4),
    }
    model = graphs.model([*(graphs.node(*node) for node in nodes), conv], weights)
    if any("zero" in node[1] or "inf" in node[1] for node in nodes):
        assert fold_normalisation(model) == 0
    else:
        assert check(graphs, model) == count


@pytest.mark.parametrize("auto", ["SAME_UPPER", "VALID"])
def test_automatic_padding_counts_as_padding(graphs, auto):
    nodes = [graphs.node("Add", "x c", "a"), graphs.node("Conv", "a w", "y", auto_pad=auto)]
    model = graphs.model(nodes, {"c": CHANNELS, "w": graphs.weight(4, 3, 3, 3)})
    assert check(graphs, model) == (auto == "VALID")


def test_a_constant_that_widens_one_channel_stays(graphs):
    nodes = [graphs.node("Mul", "x c", "a"), graphs.node("Conv", "a w", "y")]
    model = graphs.model(nodes, {"c": CHANNELS, "w": graphs.weight(4, 3, 3, 3)}, shape=("N", 1, 8, 8))
    assert check(graphs, model, (1, 8, 8)) == 0


def test_a_scaled_tensor_that_others_take_stays(graphs):
    nodes = [graphs.node("Mul", "x c", "a"), graphs.node("Conv", "a w", "y"), graphs.node("Relu", "a", "z")]
    weights = {"c": CHANNELS, "w": graphs.weight(4, 3, 3, 3)}
    assert check(graphs, graphs.model(nodes, weights, outputs={"y": 4, "z": 4})) == 0


@settings(max_examples=30, deadline=None)
@given(group=st.sampled_from([1, 2, 3, 6]), seed=st.integers(0, 99), bias=st.booleans())
def test_groups_meet_their_own_channels(graphs, group, seed, bias):
    nodes = [
        graphs.node("Sub", "x t", "b"),
        graphs.node("Mul", "b s", "a"),
        graphs.node("Conv", "a w k" if bias else "a w", "y", group=group),
    ]
    weights = {
        "t": graphs.weight(6, 1, 1, seed=seed),
        "s": graphs.weight(6, 1, 1, seed=seed + 1),
        "w": graphs.weight(12, 6 // group, 3, 3, seed=seed),
        "k": graphs.weight(12, seed=seed),
    }
    assert check(graphs, graphs.model(nodes, weights, shape=("N", 6, 8, 8)), (6, 8, 8)) == 2
