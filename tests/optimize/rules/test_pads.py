from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.formats.graph import copy_of
from edgeproof.optimize.rules.pads import merge_pads

SIDES = np.array([0, 0, 0, 1, 0, 0, 2, 1])


def padded(graphs, pad, **weights):
    conv = graphs.node("Conv", "a w b", "y", pads=[1, 0, 0, 1], strides=[2, 1])
    return graphs.model([pad, conv], {"w": graphs.weight(4, 3, 3, 3), "b": graphs.weight(4), **weights})


def merged(graphs, model, shape=(3, 8, 8)):
    copy = copy_of(model)
    count = merge_pads(copy)
    x = graphs.pictures(2, *shape)
    for new, old in zip(graphs.run(copy, x), graphs.run(model, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5)
    assert graphs.kinds(copy)["Pad"] == graphs.kinds(model)["Pad"] - count
    return count


@pytest.mark.parametrize(
    ("inputs", "weights", "attributes", "count"),
    [
        ("x p", {"p": SIDES}, {}, 1),
        ("x p -", {"p": SIDES}, {}, 1),
        ("x p v", {"p": SIDES, "v": np.float32(0)}, {"mode": "constant"}, 1),
        ("x p v", {"p": SIDES, "v": np.float32(1)}, {}, 0),
        ("x p", {"p": SIDES}, {"mode": "reflect"}, 0),
        ("x p", {"p": SIDES}, {"mode": "edge"}, 0),
        ("x p", {"p": np.array([0, 0, -1, 1, 0, 0, 2, 1])}, {}, 0),
        ("x p", {"p": np.array([1, 0, 0, 1, 0, 0, 2, 1])}, {}, 0),
    ],
)
def test_only_constant_zeros_on_spatial_axes_are_merged(graphs, inputs, weights, attributes, count):
    assert merged(graphs, padded(graphs, graphs.node("Pad", inputs, "a", **attributes), **weights)) == count


def test_padding_of_channels_is_not_merged(graphs):
    nodes = [graphs.node("Pad", "x p", "a"), graphs.node("Conv", "a w", "y")]
    model = graphs.model(nodes, {"p": np.array([0, 1, 0, 0, 0, 0, 0, 0]), "w": graphs.weight(4, 4, 3, 3)})
    assert merged(graphs, model) == 0


@pytest.mark.parametrize(("axes", "count"), [([2, 3], 1), ([3, 2], 1), ([3], 0), ([-2, -1], 0)])
def test_axes_are_followed(graphs, axes, count):
    pads = np.arange(1, 2 * len(axes) + 1)
    model = padded(graphs, graphs.node("Pad", "x p - ax", "a"), p=pads, ax=np.array(axes))
    model.opset_import[0].version = 18
    assert merged(graphs, model) == count


def test_pads_of_old_opsets_are_attributes(graphs):
    nodes = [graphs.node("Pad", "x", "a", pads=SIDES.tolist()), graphs.node("Conv", "a w", "y")]
    assert merged(graphs, graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)}, opset=10)) == 1


@pytest.mark.parametrize(
    ("extra", "outputs", "count"),
    [
        ([], {"y": 4, "a": 4}, 0),  # the padded tensor is wanted itself
        ([("Relu", "a", "z")], {"y": 4, "z": 4}, 0),
        ([("MaxPool", "a", "z")], {"y": 4, "z": 4}, 0),
        ([("Conv", "a w", "z")], {"y": 4, "z": 4}, 1),
        ([("Conv", "x w", "z")], {"y": 4, "z": 4}, 1),
    ],
)
def test_every_taker_has_to_be_a_convolution(graphs, extra, outputs, count):
    nodes = [graphs.node("Pad", "x p", "a"), graphs.node("Conv", "a w", "y")]
    for kind, inputs, name in extra:
        nodes.append(
            graphs.node(kind, inputs, name, **({"kernel_shape": [2, 2]} if kind == "MaxPool" else {}))
        )
    model = graphs.model(nodes, {"p": SIDES, "w": graphs.weight(4, 3, 3, 3)}, outputs=outputs)
    assert merged(graphs, model) == count


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding_is_left_alone(graphs, auto):
    nodes = [graphs.node("Pad", "x p", "a"), graphs.node("Conv", "a w", "y", auto_pad=auto)]
    assert merged(graphs, graphs.model(nodes, {"p": SIDES, "w": graphs.weight(4, 3, 3, 3)})) == 0


@settings(max_examples=60, deadline=None)
@given(
    pads=st.lists(st.integers(0, 4), min_size=4, max_size=4),
    own=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.integers(1, 2),
    grouped=st.booleans(),
)
def test_any_padding_gives_the_same_answer(graphs, pads, own, kernel, strides, dilation, grouped):
    conv = graphs.node(
        "Conv", "a w", "y", pads=own, strides=strides, dilations=[dilation] * 2, group=3 if grouped else 1
    )
    weights = {
        "p": np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]),
        "w": graphs.weight(6, 1 if grouped else 3, *kernel),
    }
    assert merged(graphs, graphs.model([graphs.node("Pad", "x p", "a"), conv], weights)) == 1
