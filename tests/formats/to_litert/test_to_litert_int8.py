"""Quantised networks: computed in whole numbers, as close to the ONNX file as rounding allows."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.engines import open_engine
from edgeproof.formats.onnx import load_model
from edgeproof.formats.tflite.schema import parse
from edgeproof.formats.to_litert import write
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.resize import crop_square
from edgeproof.optimize.calibrate import collect_ranges
from edgeproof.optimize.fp16 import fp16_weights
from edgeproof.optimize.int8 import static_int8
from edgeproof.optimize.simplify import simplify
from edgeproof.tasks.orientation import builtin_model


@pytest.fixture(scope="module")
def views(shared):
    photos = find_photos([shared / "data" / "coco"])[:10]
    squares = [crop_square(decode(photo, cover=192).pixels, 192) for photo in photos]
    turned = [np.rot90(square, turns) for square in squares for turns in range(4)]
    return [np.ascontiguousarray(view.transpose(2, 0, 1)[None]).astype(np.float32) for view in turned]


@pytest.fixture(scope="module")
def small_networks(views):
    plain = simplify(load_model(builtin_model())).model
    ranges = collect_ranges(plain, ({"input": view} for view in views[:12]))
    return {
        "plain": plain,
        "int8": static_int8(plain, ranges.percentile()).model,
        "half": fp16_weights(plain).model,
    }


@pytest.fixture(scope="module")
def sizes(small_networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for name, model in small_networks.items():
        write(model, folder / f"{name}.tflite")
    return {name: folder / f"{name}.tflite" for name in small_networks}


def logits(model, path, views):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    with open_engine(str(path), engine="litert", threads=1) as engine:
        pairs = [
            (session.run(None, {"input": view})[0], engine.run({"input": view})["logits"]) for view in views
        ]
    return (np.concatenate(each) for each in zip(*pairs, strict=True))


def test_int8_answers_as_onnx_runtime_does(small_networks, sizes, views):
    pytest.importorskip("ai_edge_litert.interpreter")
    onnx_logits, litert_logits = logits(small_networks["int8"], sizes["int8"], views)
    assert (onnx_logits.argmax(1) == litert_logits.argmax(1)).mean() >= 0.95
    # A few steps of the last scale: the two runtimes round at different places.
    assert np.abs(onnx_logits - litert_logits).max() <= 0.1 * np.abs(onnx_logits).max()


def test_int8_stays_whole_numbers_all_the_way(sizes):
    network = parse("int8", sizes["int8"].read_bytes())
    for operator in network.operators:
        if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            image, weights, bias = (network.tensors[number] for number in operator.inputs)
            assert (image.kind, weights.kind, bias.kind) == ("INT8", "INT8", "INT32")
            assert weights.scale.size == weights.shape[weights.axis] == bias.shape[0]
            assert not weights.zero_point.any()
    kinds = [operator.kind for operator in network.operators]
    assert (kinds.count("QUANTIZE"), kinds.count("DEQUANTIZE")) == (1, 1)


def test_small_weights_make_small_files(sizes):
    whole, eight, half = (sizes[name].stat().st_size for name in ("plain", "int8", "half"))
    assert eight <= whole / 3
    assert half <= 0.52 * whole


def test_half_weights_answer_the_same(small_networks, sizes, views):
    pytest.importorskip("ai_edge_litert.interpreter")
    onnx_logits, litert_logits = logits(small_networks["half"], sizes["half"], views[:8])
    assert np.abs(onnx_logits - litert_logits).max() <= 1e-4 * np.abs(onnx_logits).max()


SCALE, ZERO = np.float32(0.05), np.uint8(128)


def quantised(graphs, nodes, weights, **more):
    """x, quantised as q; what the nodes make out of its real value r as s; that quantised, as y."""
    nodes = [
        graphs.node("QuantizeLinear", "x scale zero", "q"),
        graphs.node("DequantizeLinear", "q scale zero", "r"),
        *nodes,
        graphs.node("QuantizeLinear", "s out_scale zero", "t"),
        graphs.node("DequantizeLinear", "t out_scale zero", "y"),
    ]
    stored = {"scale": SCALE, "zero": ZERO, "out_scale": more.pop("out_scale", SCALE), **weights}
    return graphs.model(nodes, stored, **more)


def filters(graphs, *shape):
    whole = np.clip(np.rint(graphs.weight(*shape) * 100), -127, 127).astype(np.int8)
    channels = shape[0]
    return {
        "w8": whole,
        "ws": np.linspace(0.005, 0.02, channels, dtype=np.float32),
        "wz": np.zeros(channels, np.int8),
    }


CONV = ("DequantizeLinear", "w8 ws wz", "w", {"axis": 0})
AGAIN = [
    ("QuantizeLinear", "a scale zero", "aq", {}),
    ("QuantizeLinear", "b scale zero", "bq", {}),
    ("DequantizeLinear", "aq scale zero", "ar", {}),
    ("DequantizeLinear", "bq scale zero", "br", {}),
    ("Concat", "ar br", "s", {"axis": -1}),
]
SIX = [
    ("QuantizeLinear", "rr0 scale zero", "rrq", {}),
    ("DequantizeLinear", "rrq scale zero", "rr", {}),
]
# Operators with what they take and make, stored tensors, which operator they become in int8, and the output's scale.
CASES = [
    ("conv", [CONV, ("Conv", "r w", "s", {"pads": [1, 1, 1, 1]})], (4, 3, 3, 3), "CONV_2D", 0.05),
    ("depthwise", [CONV, ("Conv", "r w", "s", {"group": 3})], (6, 1, 3, 3), "DEPTHWISE_CONV_2D", 0.05),
    (
        "grouped",
        [CONV, ("Concat", "r r", "rr0", {"axis": 1}), *SIX, ("Conv", "rr w", "s", {"group": 2})],
        (4, 3, 3, 3),
        "CONV_2D",
        0.05,
    ),
    ("conv_relu", [CONV, ("Conv", "r w", "a", {}), ("Relu", "a", "s", {})], (4, 3, 3, 3), "CONV_2D", 0.05),
    (
        "conv_clip",
        [CONV, ("Conv", "r w", "a", {}), ("Clip", "a low high", "s", {})],
        (4, 3, 3, 3),
        "CONV_2D",
        0.05,
    ),
    ("add", [("Add", "r r", "s", {})], None, "ADD", 0.1),
    ("mul_stored", [("Mul", "r high", "s", {})], None, "MUL", 0.2),
    ("concat_rescaled", [("Concat", "r r", "s", {"axis": 1})], None, "CONCATENATION", 0.03),
    ("average", [("AveragePool", "r", "s", {"kernel_shape": [2, 2]})], None, "AVERAGE_POOL_2D", 0.04),
    (
        "average_padded",
        [("AveragePool", "r", "s", {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]})],
        None,
        "",
        0.05,
    ),
    (
        "average_same",
        [("AveragePool", "r", "s", {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"})],
        None,
        "",
        0.05,
    ),
    ("global_average", [("GlobalAveragePool", "r", "s", {})], None, "MEAN", 0.01),
    (
        "max_padded",
        [("MaxPool", "r", "s", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})],
        None,
        "MAX_POOL_2D",
        0.05,
    ),
    ("sigmoid", [("Sigmoid", "r", "s", {})], None, "LOGISTIC", 1 / 128),
    ("softmax", [("Softmax", "r", "s", {"axis": 1})], None, "SOFTMAX", 1 / 128),
    ("tanh", [("Tanh", "r", "s", {})], None, "TANH", 1 / 100),
    ("sub", [("Sub", "r high", "s", {})], None, "SUB", 0.1),
    ("relu", [("Relu", "r", "s", {})], None, "RELU", 0.05),
    ("relu6", [("Clip", "r low high", "s", {})], None, "RELU6", 0.05),
    ("relu1", [("Clip", "r low one", "s", {})], None, "RELU_0_TO_1", 0.01),
    ("hard_swish", [("HardSwish", "r", "s", {})], None, "HARD_SWISH", 0.05),
    ("split", [("Split", "r", "a b", {"axis": 2}), *AGAIN], None, "SPLIT", 0.05),
    ("split_uneven", [("Split", "r parts", "a b", {"axis": 3}), *AGAIN], None, "SPLIT_V", 0.05),
    ("pad_value", [("Pad", "r pads one", "s", {})], None, "PADV2", 0.05),
    ("pad_reflect", [("Pad", "r pads", "s", {"mode": "reflect"})], None, "MIRROR_PAD", 0.05),
    ("resize_linear", [("Resize", "r - factors", "s", {"mode": "linear"})], None, "RESIZE_BILINEAR", 0.05),
    (
        "resize_odd",
        [("Resize", "r - odd", "s", {"nearest_mode": "ceil"})],
        None,
        "GATHER",
        0.05,
    ),
    (
        "product",
        [
            ("DequantizeLinear", "w8 ws wz", "w", {"axis": 0}),
            ("Flatten", "r", "f", {}),
            ("QuantizeLinear", "f scale zero", "fq", {}),
            ("DequantizeLinear", "fq scale zero", "fr", {}),
            ("Gemm", "fr w", "s", {"transB": 1}),
        ],
        (5, 192),
        "FULLY_CONNECTED",
        0.05,
    ),
    ("leaky_relu", [("LeakyRelu", "r", "s", {"alpha": 0.1})], None, "LEAKY_RELU", 0.05),
    ("reshape", [("Reshape", "r shape", "s", {})], None, "RESHAPE", 0.05),
    ("transpose", [("Transpose", "r", "s", {"perm": [0, 2, 3, 1]})], None, "TRANSPOSE", 0.05),
    ("pad", [("Pad", "r pads", "s", {})], None, "PAD", 0.05),
    ("slice", [("Slice", "r begin end", "s", {})], None, "STRIDED_SLICE", 0.05),
    ("resize", [("Resize", "r - factors", "s", {})], None, "RESIZE_NEAREST_NEIGHBOR", 0.05),
]


@pytest.mark.parametrize("xnnpack", [True, False], ids=["xnnpack", "plain"])
@pytest.mark.parametrize(
    ("nodes", "weight", "kind", "scale"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_int8_operator_is_a_step_or_two_off(agree, graphs, nodes, weight, kind, scale, xnnpack):
    weights = {
        "low": np.float32(0),
        "one": np.float32(1),
        "parts": np.asarray([3, 5]),
        "odd": np.asarray([1, 1, 1.5, 1.5], np.float32),
        "high": np.float32(6),
        "shape": np.asarray([1, 6, 4, 8]),
        "pads": np.asarray([0, 0, 1, 1, 0, 0, 1, 1]),
        "begin": np.asarray([0, 1]),
        "end": np.asarray([1, 3]),
        "factors": np.asarray([1, 1, 2, 2], np.float32),
        **(filters(graphs, *weight) if weight else {}),
    }
    made = [graphs.node(name, taken, given, **attributes) for name, taken, given, attributes in nodes]
    rank = 2 if kind == "FULLY_CONNECTED" else 4
    model = quantised(
        graphs, made, weights, shape=(1, 3, 8, 8), out_scale=np.float32(scale), outputs={"y": rank}
    )
    x = np.clip(graphs.pictures(1, 3, 8, 8) * 2, -6, 6)
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    # A share of the largest value, which is 128 steps at most and 25 at least.
    written = agree(model, {"x": x}, most=2 / 25, xnnpack=xnnpack)
    network = parse("written", written.path.read_bytes())
    found = [operator for operator in network.operators if operator.kind == kind]
    assert found or not kind  # no kind: what can't be computed in 8 bits
    for operator in found if kind != "TRANSPOSE" else found[1:]:
        assert "INT8" in {network.tensors[number].kind for number in operator.inputs}
        assert network.tensors[operator.outputs[0]].kind == "INT8"
    assert not {"RELU", "RELU6"} & written.kinds.keys() - {kind}


def test_a_product_that_ends_in_floats_keeps_small_weights(agree, graphs):
    nodes = [
        graphs.node("QuantizeLinear", "x scale zero", "q"),
        graphs.node("DequantizeLinear", "q scale zero", "r"),
        graphs.node("DequantizeLinear", "w8 ws wz", "w", axis=0),
        graphs.node("Gemm", "r w", "y", transB=1),
    ]
    stored = {"scale": SCALE, "zero": ZERO, **filters(graphs, 5, 7)}
    model = graphs.model(nodes, stored, shape=("N", 7), outputs={"y": 2})
    written = agree(model, {"x": graphs.pictures(3, 7)}, most=1e-4)
    assert written.kinds["FULLY_CONNECTED"] == 1
    network = parse("written", written.path.read_bytes())
    assert any(tensor.kind == "INT8" and tensor.value is not None for tensor in network.tensors)
