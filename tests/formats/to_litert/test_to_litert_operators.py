"""Each operator as LiteRT computes it, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest


def floats(*values):
    return np.asarray(values, np.float32)


def ints(*values):
    return np.asarray(values, np.int64)


def ramp(*shape, low=0.5, high=2.0):
    return np.linspace(low, high, int(np.prod(shape)), dtype=np.float32).reshape(shape)


# Name, nodes as (operator, inputs, outputs, attributes), stored tensors, and what else differs from the usual.
CASES = [
    ("relu", [("Relu", "x", "y", {})], {}, {}),
    ("leaky_relu", [("LeakyRelu", "x", "y", {"alpha": 0.2})], {}, {}),
    ("prelu", [("PRelu", "x s", "y", {})], {"s": ramp(3, 1, 1, low=-0.5)}, {}),
    ("clip_6", [("Clip", "x l h", "y", {})], {"l": np.float32(0), "h": np.float32(6)}, {}),
    ("clip_other", [("Clip", "x l h", "y", {})], {"l": np.float32(-0.3), "h": np.float32(0.7)}, {}),
    ("clip_below", [("Clip", "x l", "y", {})], {"l": np.float32(-0.3)}, {}),
    ("clip_nothing", [("Clip", "x", "a", {}), ("Relu", "a", "y", {})], {}, {}),
    ("sigmoid", [("Sigmoid", "x", "y", {})], {}, {}),
    ("hard_sigmoid", [("HardSigmoid", "x", "y", {"alpha": 0.3})], {}, {}),
    ("hard_swish", [("HardSwish", "x", "y", {})], {}, {}),
    (
        "hard_swish_parts",
        [("HardSigmoid", "x", "a", {"alpha": 1 / 6}), ("Mul", "a x", "y", {})],
        {},
        {"kinds": {"HARD_SWISH": 1}},
    ),
    ("tanh", [("Tanh", "x", "y", {})], {}, {}),
    ("elu", [("Elu", "x", "y", {})], {}, {}),
    ("softplus", [("Softplus", "x", "y", {})], {}, {}),
    ("softmax_channels", [("Softmax", "x", "y", {"axis": 1})], {}, {}),
    ("softmax_width", [("Softmax", "x", "y", {"axis": -1})], {}, {}),
    ("log_softmax", [("LogSoftmax", "x", "y", {"axis": 1})], {}, {}),
    ("exp", [("Exp", "x", "y", {})], {}, {}),
    ("log", [("Abs", "x", "a", {}), ("Add", "a o", "b", {}), ("Log", "b", "y", {})], {"o": floats(1)}, {}),
    ("sqrt", [("Abs", "x", "a", {}), ("Sqrt", "a", "y", {})], {}, {}),
    ("pow", [("Abs", "x", "a", {}), ("Pow", "a p", "y", {})], {"p": np.float32(1.5)}, {}),
    ("square", [("Pow", "x p", "y", {})], {"p": np.int64(2)}, {}),
    ("neg", [("Neg", "x", "y", {})], {}, {}),
    ("floor", [("Floor", "x", "y", {})], {}, {}),
    ("ceil", [("Ceil", "x", "y", {})], {}, {}),
    ("reciprocal", [("Exp", "x", "a", {}), ("Reciprocal", "a", "y", {})], {}, {}),
    ("add_channel", [("Add", "x b", "y", {})], {"b": ramp(3, 1, 1)}, {}),
    ("sub_from", [("Sub", "b x", "y", {})], {"b": ramp(1, 3, 1, 1)}, {}),
    ("mul_width", [("Mul", "x b", "y", {})], {"b": ramp(8)}, {}),
    ("div_one", [("Div", "x b", "y", {})], {"b": ramp(1, 1, 1, 1, 1, high=0.5)[0]}, {}),
    ("add_self", [("Add", "x x", "y", {})], {}, {}),
    ("max_of_three", [("Neg", "x", "a", {}), ("Max", "x a b", "y", {})], {"b": ramp(3, 1, 1)}, {}),
    ("min", [("Min", "x b", "y", {})], {"b": ramp(1, 8)}, {}),
    ("sum_of_three", [("Neg", "x", "a", {}), ("Sum", "x a x", "y", {})], {}, {}),
    (
        "lower_rank_computed",
        [("ReduceMean", "x", "a", {"axes": [0, 1], "keepdims": 0}), ("Mul", "x a", "y", {})],
        {},
        {},
    ),
    ("where", [("Greater", "x o", "a", {}), ("Where", "a x o", "y", {})], {"o": floats(0.1)}, {}),
    ("cast", [("Cast", "x", "a", {"to": 6}), ("Cast", "a", "y", {"to": 1})], {}, {}),
    ("identity", [("Identity", "x", "y", {})], {}, {}),
    ("dropout", [("Dropout", "x", "a", {}), ("Relu", "a", "y", {})], {}, {}),
    (
        "batch_norm",
        [("Relu", "x", "a", {}), ("BatchNormalization", "a s b m v", "y", {})],
        {"s": ramp(3), "b": ramp(3), "m": ramp(3, low=-1), "v": ramp(3)},
        {"kinds": {"MUL": 1, "ADD": 1}},
    ),
    (
        "batch_norm_folded",
        [("Conv", "x w", "a", {}), ("BatchNormalization", "a s b m v", "y", {})],
        {"w": ramp(5, 3, 3, 3, low=-1), "s": ramp(5), "b": ramp(5), "m": ramp(5, low=-1), "v": ramp(5)},
        {"kinds": {"MUL": 0, "ADD": 0}},
    ),
    (
        "instance_norm",
        [("InstanceNormalization", "x s b", "y", {})],
        {"s": ramp(3), "b": ramp(3)},
        {"most": 1e-4},
    ),
    (
        "layer_norm",
        [("LayerNormalization", "x s b", "y", {"axis": -2})],
        {"s": ramp(8, 8), "b": ramp(8, 8)},
        {"most": 1e-4},
    ),
    ("lrn", [("LRN", "x", "y", {"size": 3, "alpha": 0.1})], {}, {}),
    ("global_average", [("GlobalAveragePool", "x", "y", {})], {}, {}),
    ("global_max", [("GlobalMaxPool", "x", "y", {})], {}, {}),
    ("mean", [("ReduceMean", "x", "y", {"axes": [2, 3], "keepdims": 0})], {}, {"rank": 2}),
    ("mean_18", [("ReduceMean", "x a", "y", {})], {"a": ints(-1, 1)}, {"opset": 18}),
    (
        "split_18",
        [("Split", "x", "a b", {"axis": 3, "num_outputs": 2}), ("Concat", "b a", "y", {"axis": 1})],
        {},
        {"opset": 18},
    ),
    ("pad_18", [("Pad", "x p - a", "y", {})], {"p": ints(1, 2), "a": ints(-1)}, {"opset": 18}),
    ("clip_13", [("Clip", "x l", "y", {})], {"l": np.float32(0)}, {"opset": 13}),
    (
        "clip_6_attributes",
        [("Clip", "x", "y", {"min": 0.0, "max": 6.0})],
        {},
        {"opset": 10, "kinds": {"RELU6": 1}},
    ),
    ("mean_channel", [("ReduceMean", "x", "y", {"axes": [1]})], {}, {}),
    ("mean_all", [("ReduceMean", "x", "y", {"keepdims": 0})], {}, {"rank": 0}),
    ("sum", [("ReduceSum", "x a", "y", {"keepdims": 0})], {"a": ints(-1)}, {"rank": 3}),
    ("max", [("ReduceMax", "x", "y", {"axes": [3]})], {}, {}),
    ("l1", [("ReduceL1", "x", "y", {"axes": [1]})], {}, {}),
    ("l2", [("ReduceL2", "x", "y", {"axes": [1], "keepdims": 0})], {}, {"rank": 3}),
    ("sum_square", [("ReduceSumSquare", "x", "y", {"axes": [2, 3]})], {}, {}),
    ("arg_max", [("ArgMax", "x", "a", {"axis": 1}), ("Cast", "a", "y", {"to": 1})], {}, {}),
    (
        "arg_max_dropped",
        [("ArgMax", "x", "a", {"axis": -1, "keepdims": 0}), ("Cast", "a", "y", {"to": 1})],
        {},
        {"rank": 3},
    ),
    (
        "top_k",
        [("TopK", "x k", "y i", {"axis": 1}), ("Cast", "i", "z", {"to": 1})],
        {"k": ints(2)},
        {"outputs": {"y": 4, "z": 4}},
    ),
    ("concat", [("Neg", "x", "a", {}), ("Concat", "x a x", "y", {"axis": 1})], {}, {}),
    (
        "concat_stored",
        [("Concat", "x b", "y", {"axis": 2})],
        {"b": ramp(2, 3, 4, 8)},
        {"shape": (2, 3, 8, 8)},
    ),
    (
        "split",
        [("Split", "x", "a b", {"axis": 2}), ("Concat", "b a", "y", {"axis": 3})],
        {},
        {"kinds": {"SPLIT": 1}},
    ),
    (
        "split_uneven",
        [("Split", "x s", "a b", {"axis": 1}), ("Concat", "b a", "y", {"axis": 1})],
        {"s": ints(1, 2)},
        {"kinds": {"SPLIT_V": 1}},
    ),
    ("pad", [("Pad", "x p", "y", {})], {"p": ints(0, 0, 1, 2, 0, 1, 0, 3)}, {}),
    ("pad_value", [("Pad", "x p v", "y", {})], {"p": ints(0, 0, 1, 2, 0, 0, 0, 3), "v": np.float32(1.5)}, {}),
    ("pad_reflect", [("Pad", "x p", "y", {"mode": "reflect"})], {"p": ints(0, 0, 1, 2, 0, 0, 0, 3)}, {}),
    ("reshape", [("Reshape", "x s", "y", {})], {"s": ints(0, 3, 64)}, {"rank": 3, "kinds": {"TRANSPOSE": 0}}),
    ("flatten", [("Relu", "x", "a", {}), ("Flatten", "a", "y", {})], {}, {"rank": 2}),
    ("unsqueeze", [("Unsqueeze", "x a", "y", {})], {"a": ints(2)}, {"rank": 5}),
    (
        "squeeze",
        [("GlobalAveragePool", "x", "p", {}), ("Squeeze", "p a", "y", {})],
        {"a": ints(2, 3)},
        {"rank": 2, "kinds": {"TRANSPOSE": 0}},
    ),
    ("transpose", [("Transpose", "x", "y", {"perm": [0, 2, 3, 1]})], {}, {"kinds": {"TRANSPOSE": 1}}),
    ("transpose_all", [("Transpose", "x", "y", {"perm": [3, 1, 2, 0]})], {}, {}),
    (
        "channel_shuffle",
        [
            ("Relu", "x", "a", {}),
            ("Reshape", "a s", "b", {}),
            ("Transpose", "b", "c", {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", "c t", "d", {}),
            ("Conv", "d w", "y", {}),
        ],
        {"s": ints(0, 2, 3, 8, 8), "t": ints(0, 6, 8, 8), "w": ramp(2, 6, 1, 1, low=-1)},
        {"shape": ("N", 6, 8, 8)},
    ),
    ("gather", [("Gather", "x i", "y", {"axis": 1})], {"i": ints(2, 0, -1, 2)}, {}),
    ("gather_one", [("Gather", "x i", "y", {"axis": 1})], {"i": np.int64(-1)}, {"rank": 3}),
    ("gather_table", [("Gather", "x i", "y", {"axis": 3})], {"i": np.asarray([[1, 2], [3, 0]])}, {"rank": 5}),
    ("expand", [("Expand", "x s", "y", {})], {"s": ints(2, 3, 8, 8)}, {"shape": (1, 3, 1, 8)}),
    ("tile", [("Tile", "x s", "y", {})], {"s": ints(1, 2, 1, 3)}, {}),
    ("depth_to_space", [("DepthToSpace", "x", "y", {"blocksize": 2})], {}, {"shape": ("N", 8, 3, 5)}),
    (
        "depth_to_space_crd",
        [("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"})],
        {},
        {"shape": ("N", 8, 3, 5)},
    ),
    ("space_to_depth", [("SpaceToDepth", "x", "y", {"blocksize": 2})], {}, {}),
    ("gemm", [("Gemm", "x w b", "y", {"transB": 1})], {"w": ramp(5, 7), "b": ramp(5)}, {"shape": ("N", 7)}),
    (
        "gemm_scaled",
        [("Gemm", "x w b", "y", {"alpha": 0.5, "beta": 2.0})],
        {"w": ramp(7, 5), "b": ramp(1, 5)},
        {"shape": ("N", 7)},
    ),
    ("matmul", [("MatMul", "x w", "y", {})], {"w": ramp(8, 5)}, {}),
    (
        "matmul_computed",
        [("Transpose", "x", "a", {"perm": [0, 1, 3, 2]}), ("MatMul", "x a", "y", {})],
        {},
        {},
    ),
    ("matmul_batched", [("MatMul", "x w", "y", {})], {"w": ramp(1, 3, 8, 5)}, {}),
    (
        "half_weights",
        [("Cast", "h", "w", {"to": 1}), ("Conv", "x w", "y", {})],
        {"h": ramp(4, 3, 3, 3, low=-1).astype(np.float16)},
        {"kinds": {"DEQUANTIZE": 1}},
    ),
    (
        "shape_chain",
        [
            ("Shape", "x", "s", {}),
            ("Gather", "s i", "n", {}),
            ("Unsqueeze", "n z", "m", {}),
            ("Concat", "m t", "u", {"axis": 0}),
            ("Reshape", "x u", "y", {}),
        ],
        {"i": np.int64(0), "z": ints(0), "t": ints(-1, 4)},
        {"rank": 3},
    ),
]


@pytest.mark.parametrize("xnnpack", [True, False], ids=["xnnpack", "plain"])
@pytest.mark.parametrize(
    ("nodes", "weights", "more"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_operator_gives_what_onnx_runtime_gives(agree, graphs, nodes, weights, more, xnnpack):
    shape = more.get("shape", ("N", 3, 8, 8))
    model = graphs.model(
        [graphs.node(kind, taken, made, **attributes) for kind, taken, made, attributes in nodes],
        weights,
        shape=shape,
        outputs=more.get("outputs", {"y": more.get("rank", 4)}),
        opset=more.get("opset", 17),
    )
    x = graphs.pictures(2 if shape[0] == "N" else shape[0], *shape[1:])
    written = agree(model, {"x": x}, most=more.get("most", 1e-5), xnnpack=xnnpack)
    for kind, count in more.get("kinds", {}).items():
        assert written.kinds[kind] == count, written.kinds
