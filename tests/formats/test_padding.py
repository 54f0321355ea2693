"""Zeros before a MaxPool count, whichever format the network came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgeproof.formats import read_network
from edgeproof.formats.onnx import one_onnx_file
from edgeproof.formats.padding import keep_padding
from edgeproof.optimize.fp16 import fp16_weights
from edgeproof.optimize.simplify import simplify
from edgeproof.verify.importing import import_network

AROUND = np.array([0, 0, 1, 1, 0, 0, 1, 1])
LAST = np.array([0, 1, 1, 0, 0, 1, 1, 0])
FLOAT, HALF, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8


def _model(
    between: list[tuple[Any, ...]] = (), weights: Any = (), *, pad: str = "x p", kind: int = FLOAT
) -> Any:  # type: ignore[assignment]
    """A Pad, what lies between, and a MaxPool of "q" (or of the padded "a")."""
    last = "q" if between else "a"
    nodes = [
        helper.make_node("Pad", pad.split(), ["a"]),
        *(helper.make_node(*node[:3], **dict(node[3:])) for node in between),
        helper.make_node("MaxPool", [last], ["y"], kernel_shape=[2, 2]),
    ]
    stored = {"p": AROUND, **dict(weights)}
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", kind, (1, 1, 4, 4))],
        [info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return onnx.shape_inference.infer_shapes(model)


def _corner(model: Any) -> float:
    """The first answer to a picture of -1: 0 where the padding counts."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model if isinstance(model, str) else model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    (given,) = session.get_inputs()
    dtype = {"tensor(float)": np.float32, "tensor(float16)": np.float16}[given.type]
    return float(session.run(None, {given.name: -np.ones((1, 1, 4, 4), dtype)})[0].ravel()[0])


@pytest.mark.parametrize(
    ("between", "weights", "options"),
    [
        ((), {}, {}),
        ((), {"v": np.float32(0)}, {"pad": "x p v"}),
        ((), {}, {"kind": HALF}),
        ([("Identity", ["a"], ["q"])], {}, {}),
        ([("Dropout", ["a"], ["q"])], {}, {}),
        ([("Cast", ["a"], ["q"], ("to", FLOAT))], {}, {}),
        ([("Add", ["a", "z"], ["q"])], {"z": np.zeros((1, 1, 1, 1), np.float32)}, {}),
        ([("Relu", ["a"], ["other"]), ("Identity", ["a"], ["q"])], {}, {}),
    ],
)
def test_the_zeros_before_a_maximum_stay(between: Any, weights: Any, options: Any) -> None:
    model = _model(between, weights, **options)
    assert keep_padding(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert _corner(model) == 0.0
    assert keep_padding(model) == 0, "once is enough"


def test_transposes_around_the_padding_do_not_hide_it() -> None:
    model = _model([("Transpose", ["a"], ["q"], ("perm", [0, 3, 1, 2]))], {"p": LAST})
    model.graph.node.insert(0, helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]))
    model.graph.node[1].input[0] = "t"
    model = onnx.shape_inference.infer_shapes(model)
    assert keep_padding(model) == 1
    assert _corner(model) == 0.0


@pytest.mark.parametrize(
    ("between", "weights", "options"),
    [
        ((), {"v": np.float32(-1e30)}, {"pad": "x p v"}),
        ((), {}, {"kind": INT8}),
        ([("Relu", ["a"], ["q"])], {}, {}),
    ],
)
def test_other_padding_stays_as_it_is(between: Any, weights: Any, options: Any) -> None:
    model = _model(between, weights, **options)
    before = model.SerializeToString()
    assert keep_padding(model) == 0
    assert model.SerializeToString() == before


def test_an_imported_copy_computes_what_onnx_says(tmp_path: Path) -> None:
    source, out = tmp_path / "net.onnx", tmp_path / "out" / "net.onnx"
    onnx.save(_model(), source)
    done = import_network(source, out)
    assert done.check.verdict == "ok", "the original is run without ONNX Runtime's optimiser"
    assert any("-0.0" in note for note in done.notes)
    assert _corner(str(out)) == 0.0


@pytest.mark.parametrize("change", [simplify, fp16_weights])
def test_the_passes_keep_them(change: Any) -> None:
    model = _model()
    keep_padding(model)
    assert _corner(change(model).model) == 0.0


def test_openvino_is_of_the_same_opinion(tmp_path: Path) -> None:
    openvino = pytest.importorskip(
        "openvino", reason="the second opinion is OpenVINO's, which isn't installed"
    )
    source, out = tmp_path / "net.onnx", tmp_path / "out.onnx"
    onnx.save(_model(), source)
    onnx.save(read_network(source).model, out)
    picture = -np.ones((1, 1, 4, 4), np.float32)
    for path in (source, out):
        compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        assert compiled(picture)[0].ravel()[0] == 0.0


def test_the_one_file_that_a_fit_starts_from(tmp_path: Path) -> None:
    source, work = tmp_path / "net.onnx", tmp_path / "work"
    work.mkdir()
    onnx.save(_model(), source)
    assert _corner(str(one_onnx_file(source, work))) == 0.0
    model = _model([("Relu", ["a"], ["q"])])
    onnx.save(model, source)
    assert one_onnx_file(source, work) == source
