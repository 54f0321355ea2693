"""Each layer against Keras' own answers, and windows of every size against sums written out."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.keras.keras_models import answer, answers, functional, imported, layer, sequential

with np.load(Path(__file__).parent / "files" / "layers.npz") as _file:
    _STORED = dict(_file)
_CASES: dict[str, Any] = json.loads(_STORED["table"].tobytes())
_noise = np.random.default_rng(5)


def _taken() -> dict[str, tuple[list[Any], list[Any], Any]]:
    given_, made = _STORED["given"].astype(np.float32), _STORED["made"]
    at, found = [0, 0], {}

    def take(which: int, shape: list[int]) -> Any:
        count = math.prod(shape)
        at[which] += count
        return (given_, made)[which][at[which] - count : at[which]].reshape(shape)

    for name, case in _CASES.items():
        inputs, weights = ([take(0, shape) for shape in case[kind]] for kind in ("inputs", "weights"))
        found[name] = (inputs, weights, take(1, case["output"]))
    return found


_VALUES = _taken()


@pytest.mark.parametrize("name", _CASES)
def test_layer_answers_as_keras_does(name: str) -> None:
    inputs, weights, wanted = _VALUES[name]
    (found,) = answers(imported(_CASES[name]["architecture"], weights, keras=3), *inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)


def _places(size: int, width: int, step: int, dilation: int, same: bool) -> tuple[list[list[int]], int]:
    """For each output the places that its window sees, outside ones too, and how many outputs there are."""
    reach = (width - 1) * dilation + 1
    count = -(-size // step) if same else (size - reach) // step + 1
    begin = max((count - 1) * step + reach - size, 0) // 2 if same else 0
    return [[o * step + k * dilation - begin for k in range(width)] for o in range(count)], count


def _windows(x: Any, kernel: Any, strides: Any, dilations: Any, same: bool, fill: float) -> Any:
    """(N, outputs.., C, window..) of a picture (N, H, W, C)."""
    rows, height = _places(x.shape[1], kernel[0], strides[0], dilations[0], same)
    columns, width = _places(x.shape[2], kernel[1], strides[1], dilations[1], same)
    found = np.full((len(x), height, width, x.shape[3], *kernel), fill)
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        for (a, y), (b, z) in itertools.product(enumerate(row), enumerate(column)):
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                found[:, i, j, :, a, b] = x[:, y, z, :]
    return found


_pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
_size = st.tuples(st.integers(5, 9), st.integers(5, 9))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_size, _pair, _pair, st.tuples(st.integers(1, 2), st.integers(1, 2)), st.booleans(), st.booleans())
def test_convolution_of_any_window(
    size: Any, kernel: Any, strides: Any, dilations: Any, same: bool, first: bool
) -> None:
    reach = [(width - 1) * dilation + 1 for width, dilation in zip(kernel, dilations, strict=True)]
    if not same and any(one > other for one, other in zip(reach, size, strict=True)):
        return
    x = _noise.standard_normal((2, *size, 2)).astype(np.float32)
    weights = _noise.standard_normal((*kernel, 2, 3)).astype(np.float32)
    config = {
        "filters": 3,
        "kernel_size": list(kernel),
        "strides": list(strides),
        "dilation_rate": list(dilations),
        "padding": "same" if same else "valid",
        "use_bias": False,
        "data_format": "channels_first" if first else "channels_last",
    }
    shape = (2, *size) if first else (*size, 2)
    found = answer(
        sequential(shape, layer("Conv2D", **config)), x.transpose(0, 3, 1, 2) if first else x, [weights]
    )
    found = found.transpose(0, 2, 3, 1) if first else found
    wanted = np.einsum("nijcab,abcf->nijf", _windows(x, kernel, strides, dilations, same, 0.0), weights)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_size, _pair, _pair, st.booleans(), st.booleans())
def test_pool_of_any_window(size: Any, kernel: Any, strides: Any, same: bool, free: bool) -> None:
    x = _noise.standard_normal((1, *size, 2)).astype(np.float32)
    config = {"pool_size": list(kernel), "strides": list(strides), "padding": "same" if same else "valid"}
    free = free and not (same and any(one < other for one, other in zip(kernel, strides, strict=True)))
    # Where the network's input has no fixed size, the padding is only known at a run.
    shape = (None, None, 2) if free else (*size, 2)
    seen = _windows(x, kernel, strides, (1, 1), same, np.nan)
    for kind, wanted in (
        ("MaxPooling2D", np.nanmax(seen, axis=(4, 5))),
        ("AveragePooling2D", np.nanmean(seen, axis=(4, 5))),
    ):
        found = answer(sequential(shape, layer(kind, **config)), x)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "wanted"), [("MaxPooling2D", 0.0), ("AveragePooling2D", -4 / 9)])
def test_padding_before_a_pool_counts(kind: str, wanted: float) -> None:
    # ONNX Runtime would take the zeros for padding of its own, which a maximum leaves out.
    padded = layer("ZeroPadding2D", padding=[[1, 1], [1, 1]])
    shown = sequential((4, 4, 1), padded, layer("Dropout"), layer(kind, pool_size=3, strides=2))
    assert answer(shown, -np.ones((1, 4, 4, 1)))[0, 0, 0, 0] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "config", "wanted"),
    [
        # Keras 2 and 3 mean different things by the same name.
        ("Activation", {"activation": "hard_sigmoid"}, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("Activation", {"activation": "swish"}, lambda x: x / (1 + np.exp(-x))),
        ("LeakyReLU", {"alpha": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        (
            "LeakyReLU",
            {"alpha": {"class_name": "__numpy__", "value": 0.2}},
            lambda x: np.where(x > 0, x, 0.2 * x),
        ),
        ("ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}, lambda x: np.clip(x, 0, 6)),
        ("ReLU", {"max_value": None}, lambda x: np.maximum(x, 0)),
        ("Softmax", {}, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        ("TFOpLambda", {"function": "nn.relu6"}, lambda x: np.clip(x, 0, 6)),
        ("Flatten", {"data_format": "channels_first"}, lambda x: x.transpose(0, 2, 3, 1).reshape(2, -1)),
        ("GaussianNoise", {"stddev": 0.1}, lambda x: x),
        ("GlobalMaxPooling2D", {"data_format": "channels_first"}, lambda x: x.max((2, 3))),
    ],
)
def test_layer_as_keras_2_has_it(kind: str, config: dict[str, Any], wanted: Any) -> None:
    x = _noise.standard_normal((2, 3, 4, 5)).astype(np.float32) * 4
    np.testing.assert_allclose(
        answer(sequential((3, 4, 5), layer(kind, **config)), x), wanted(x), rtol=1e-4, atol=1e-5
    )


def test_operations_of_tensorflow_take_numbers_and_tensors() -> None:
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 4]),
        layer("TFOpLambda", "half", [[["x", 0, 0, {"y": 0.5, "name": None}]]], function="math.multiply"),
        layer(
            "TFOpLambda",
            "rest",
            [["_CONSTANT_VALUE", -1, 3.0, {"y": ["half", 0, 0]}]],
            function="math.subtract",
        ),
        layer("TFOpLambda", "sum", [[["rest", 0, 0, {"y": ["x", 0, 0]}]]], function="__operators__.add"),
    ]
    layers[2]["inbound_nodes"] = [["_CONSTANT_VALUE", -1, 3.0, {"y": ["half", 0, 0]}]]
    x = _noise.standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(answer(functional(layers, ["x"], ["sum"]), x), 3 - x / 2 + x, rtol=1e-5)


def test_shared_layer_is_stored_once() -> None:
    layers = [
        layer("InputLayer", "a", batch_input_shape=[None, 3]),
        layer("InputLayer", "b", batch_input_shape=[None, 3]),
        layer("Dense", "both", [["a"], ["b"]], units=2),
        layer("Subtract", "end", [["both", ["both", 1, 0, {}]]]),
    ]
    kernel, bias = _noise.standard_normal((3, 2)), _noise.standard_normal(2)
    network = imported(functional(layers, ["a", "b"], ["end"]), [kernel, bias])
    one, other = (_noise.standard_normal((2, 3)).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(answers(network, one, other)[0], (one - other) @ kernel, rtol=1e-4, atol=1e-5)
    assert len(network.model.graph.initializer) == 2


def test_no_transposes_remain_between_picture_layers() -> None:
    convolution = {"filters": 4, "kernel_size": [3, 3], "padding": "same", "use_bias": False}
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 8, 8, 3]),
        layer("Conv2D", "one", [["x"]], **convolution),
        layer("BatchNormalization", "norm", [["one"]]),
        layer("PReLU", "slope", [["norm"]], shared_axes=[1, 2]),
        layer("Conv2D", "two", [["slope"]], **convolution),
        layer("Add", "sum", [["two", "slope"]]),
        layer("Concatenate", "all", [["sum", "one"]], axis=3),
        layer("GlobalAveragePooling2D", "mean", [["all"]]),
    ]
    weights = [np.ones((3, 3, 3, 4)), *np.ones((4, 4)), np.ones((1, 1, 4)), np.ones((3, 3, 4, 4))]
    network = imported(functional(layers, ["x"], ["mean"]), weights)
    kinds = Counter(node.op_type for node in network.model.graph.node)
    assert kinds["Transpose"] == 1
    assert [entry.name for entry in (*network.model.graph.input, *network.model.graph.output)] == [
        "x",
        "mean",
    ]
    assert network.notes == ("Input x takes pictures as the file does: NHWC, [?, 8, 8, 3].",)


def test_models_inside_models_are_laid_flat() -> None:
    inner = functional(
        [
            layer("InputLayer", "in", batch_input_shape=[None, 2]),
            layer("Dense", "dense", [["in"]], units=2, use_bias=False),
        ],
        ["in"],
        ["dense"],
    )
    outer = functional(
        [
            layer("InputLayer", "x", batch_input_shape=[None, 2]),
            {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]], [["inner", 0, 0, {}]]]},
            layer("Activation", "end", [[["inner", 1, 0, {}]]], activation="linear"),
        ],
        ["x"],
        ["end"],
    )
    turn = np.asarray([[0.0, 1.0], [2.0, 0.0]], np.float32)
    x = np.asarray([[1.0, 5.0]], np.float32)
    np.testing.assert_allclose(answer(outer, x, [turn]), x @ turn @ turn)


def test_whole_numbers_may_go_in() -> None:
    shown = sequential((2,), layer("Rescaling", scale=0.5, offset=1.0))
    shown["config"]["layers"][0]["config"]["dtype"] = "uint8"
    network = imported(shown)
    np.testing.assert_allclose(answers(network, np.asarray([[3, 200]], np.uint8))[0], [[2.5, 101.0]])
