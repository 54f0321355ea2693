"""Networks with one thing wrong: refused in our own words, or written; nothing else."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.formats.to_litert import write
from edgeproof.formats.to_litert.operators import OPERATORS

NODES = [
    ("Conv", "x w b", "a", {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 3}),
    ("BatchNormalization", "a s b m v", "c", {}),
    ("Clip", "c low high", "d", {}),
    ("MaxPool", "d", "e", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ("Resize", "e - factors", "f", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}),
    ("Concat", "f f", "g", {"axis": 1}),
    ("Slice", "g begin end axes step", "h", {}),
    ("Pad", "h pads", "i", {"mode": "constant"}),
    ("Split", "i", "j k", {"axis": 1}),
    ("Add", "j k", "l", {}),
    ("Softmax", "l", "o", {"axis": 1}),
    ("Gather", "o place", "p", {"axis": 1}),
    ("Reshape", "p shape", "q", {"allowzero": 0}),
    ("Gemm", "q z", "y", {"transB": 1, "alpha": 0.5}),
]
SIZES = (-5, -1, 0, 1, 2, 3, 7, 2**31, 2**62)


def network(graphs):
    weights = {
        "w": graphs.weight(6, 1, 3, 3),
        "b": graphs.weight(6),
        "s": graphs.weight(6, seed=1),
        "m": graphs.weight(6, seed=2),
        "v": np.abs(graphs.weight(6, seed=3)),
        "low": np.float32(0),
        "high": np.float32(6),
        "factors": np.asarray([1, 1, 2, 2], np.float32),
        "begin": np.asarray([0, 0]),
        "end": np.asarray([4, 4]),
        "axes": np.asarray([1, 2]),
        "step": np.asarray([1, 1]),
        "pads": np.asarray([0, 0, 1, 1, 0, 0, 1, 1]),
        "place": np.asarray([1, 0]),
        "shape": np.asarray([0, -1]),
        "z": graphs.weight(5, 72),
    }
    nodes = [graphs.node(kind, given, made, **attributes) for kind, given, made, attributes in NODES]
    return graphs.model(nodes, weights, shape=("N", 3, 8, 4), outputs={"y": 2})


def damage(model, chance):
    import onnx

    node = chance.choice(list(model.graph.node))
    match chance.randrange(6):
        case 0 if node.attribute:
            del node.attribute[chance.randrange(len(node.attribute))]
        case 1 if node.attribute:
            entry = chance.choice(list(node.attribute))
            entry.i, entry.f = chance.choice(SIZES), chance.choice([0.0, -1.0, 1e38, float("nan")])
            entry.s = chance.choice([b"", b"x", b"SAME_LOWER", b"cubic", b"\xff"])
            if entry.ints:
                entry.ints[chance.randrange(len(entry.ints))] = chance.choice(SIZES)
        case 2:
            node.op_type = chance.choice(sorted(OPERATORS))
        case 3 if len(node.input) > 1:
            del node.input[chance.randrange(len(node.input))]
        case 4:
            tensor = chance.choice(list(model.graph.initializer))
            value = onnx.numpy_helper.to_array(tensor)
            other = [value.ravel()[:0], value[None], np.asarray(chance.choice(SIZES)), value.astype(np.int32)]
            tensor.CopyFrom(onnx.numpy_helper.from_array(chance.choice(other), tensor.name))
        case _:
            sizes = model.graph.input[0].type.tensor_type.shape.dim
            sizes[chance.randrange(4)].dim_value = chance.choice([0, 1, 2, 3, 7, 2**31])


def test_the_network_itself_can_be_written(agree, graphs):
    agree(network(graphs), {"x": graphs.pictures(2, 3, 8, 4)})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of infinite weights
@pytest.mark.parametrize("seed", range(8))
def test_damage_is_refused_in_our_own_words(graphs, tmp_path, seed):
    chance = random.Random(seed)
    refused = 0
    for _ in range(25):
        model = network(graphs)
        damage(model, chance)
        with contextlib.suppress(ModelError):
            write(model, tmp_path / "m.tflite")
            continue
        refused += 1
    assert refused > 5
    assert {file.name for file in tmp_path.iterdir()} <= {"m.tflite"}


def test_what_lies_behind_an_unknown_operator_is_not_blamed(graphs, tmp_path):
    nodes = [
        graphs.node("Relu", "x", "r"),
        graphs.node("Fancy", "r", "f", name="odd", domain="acme"),
        graphs.node("Shape", "f", "s"),
        graphs.node("Gather", "s zero", "n"),
        graphs.node("Concat", "n rest", "t", axis=0),
        graphs.node("Reshape", "f t", "y"),
    ]
    weights = {"zero": np.asarray([0]), "rest": np.asarray([-1])}
    model = graphs.model(nodes, weights, outputs={"y": 2})
    model.opset_import.add(domain="acme", version=1)
    with pytest.raises(ModelError) as caught:
        write(model, tmp_path / "n.tflite")
    assert "odd (acme.Fancy: " in caught.value.message
    assert caught.value.message.count(";") == 0, "no other node is named"
    assert not (tmp_path / "n.tflite").exists()


def test_a_standard_operator_that_is_none_is_named(graphs, tmp_path):
    model = graphs.model([graphs.node("Fancy", "x", "y", name="odd")], {})
    with pytest.raises(ModelError, match="Fancy"):
        write(model, tmp_path / "n.tflite")
