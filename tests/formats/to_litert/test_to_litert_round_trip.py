"""What is written as .tflite can be read back, and computes the same: no runtime of .tflite is needed."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.formats import read_network
from edgeproof.formats.onnx import load_model
from edgeproof.formats.tflite.operators import OPERATORS as READ
from edgeproof.formats.to_litert import write
from edgeproof.formats.to_litert.operators import elementwise
from edgeproof.optimize.calibrate import collect_ranges
from edgeproof.optimize.int8 import static_int8
from edgeproof.optimize.simplify import simplify
from edgeproof.tasks.orientation import builtin_model
from formats.to_litert.test_to_litert_operators import CASES, floats, ints, ramp

pytest.importorskip("flatbuffers", reason="needs flatbuffers, which writes .tflite files")

MORE = [
    ("round", [("Round", "x", "y", {})], {}, {}),
    ("sin_cos", [("Sin", "x", "a", {}), ("Cos", "a", "y", {})], {}, {}),
    (
        "logic",
        [
            ("Less", "x o", "a", {}),
            ("GreaterOrEqual", "x m", "b", {}),
            ("And", "a b", "c", {}),
            ("LessOrEqual", "x n", "d", {}),
            ("Or", "c d", "e", {}),
            ("Not", "e", "f", {}),
            ("Equal", "f a", "g", {}),
            ("Where", "g x o", "y", {}),
        ],
        {"o": floats(0.5), "m": floats(-0.5), "n": ramp(3, 1, 1, low=-2, high=0)},
        {},
    ),
    ("arg_min", [("ArgMin", "x", "a", {"axis": 2}), ("Cast", "a", "y", {"to": 1})], {}, {}),
    ("prod", [("ReduceProd", "x", "y", {"axes": [2, 3]})], {}, {}),
    ("reduce_min", [("ReduceMin", "x", "y", {"axes": [1], "keepdims": 0})], {}, {"rank": 3}),
    (
        "attention",
        [
            ("Transpose", "x", "t", {"perm": [0, 1, 3, 2]}),
            ("MatMul", "x t", "a", {}),
            ("Softmax", "a", "s", {"axis": -1}),
            ("MatMul", "s x", "y", {}),
        ],
        {},
        {},
    ),
    (
        "pad_before_max_pool",
        [
            ("Neg", "x", "n", {}),
            ("Exp", "n", "e", {}),
            ("Neg", "e", "b", {}),
            ("Pad", "b p", "a", {}),
            ("MaxPool", "a", "y", {"kernel_shape": [2, 2]}),
        ],
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)},
        {},
    ),
]


def run(model, feeds, *, plainly=False):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if plainly:  # its optimiser gets zeros before a MaxPool wrong, see edgeproof.formats.padding
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def agree(model, feeds, folder, *, most):
    write(model, folder / "n.tflite")
    wanted = run(model, feeds, plainly=True)
    found = run(read_network(folder / "n.tflite").model, feeds)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].shape == value.shape, name
        assert found[name].dtype == value.dtype, name
        largest = max(float(np.abs(value).max()), 1e-6)
        assert np.abs(found[name].astype(np.float64) - value).max() <= most * largest, name


@pytest.mark.parametrize(
    ("nodes", "weights", "more"),
    [case[1:] for case in (*CASES, *MORE)],
    ids=[case[0] for case in (*CASES, *MORE)],
)
def test_an_operator_comes_back(graphs, tmp_path, nodes, weights, more):
    shape = [1 if size == "N" else size for size in more.get("shape", ("N", 3, 8, 8))]
    model = graphs.model(
        [graphs.node(kind, taken, made, **attributes) for kind, taken, made, attributes in nodes],
        weights,
        shape=shape,
        outputs=more.get("outputs", {"y": more.get("rank", 4)}),
        opset=more.get("opset", 17),
    )
    agree(model, {"x": graphs.pictures(*shape)}, tmp_path, most=more.get("most", 1e-5))


def test_every_operator_of_a_table_can_be_read():
    kinds = {*elementwise.BINARY.values(), *elementwise.UNARY.values()}
    assert kinds <= set(READ)


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_a_detector_comes_back(shared, graphs, tmp_path, name):
    model = load_model(shared / "models" / f"{name}-topology.onnx")
    (entry,) = model.graph.input
    sizes = [size.dim_value or 1 for size in entry.type.tensor_type.shape.dim]
    x = np.abs(graphs.pictures(*sizes)).astype(np.float32) / 4
    agree(model, {entry.name: x}, tmp_path, most=1e-3)


def test_an_int8_network_comes_back(graphs, tmp_path):
    plain = simplify(load_model(builtin_model())).model
    views = [128 + 50 * graphs.pictures(1, 3, 192, 192, seed=seed) for seed in range(4)]
    ranges = collect_ranges(plain, ({"input": view} for view in views))
    agree(static_int8(plain, ranges.percentile()).model, {"input": views[0]}, tmp_path, most=0.1)
