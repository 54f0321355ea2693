"""Networks that TensorFlow quantised to unsigned bytes: the same bytes again, and the same answers."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.engines import open_engine
from edgeproof.formats.onnx import load_model
from edgeproof.formats.tflite.schema import parse
from edgeproof.verify.exporting import export_network
from edgeproof.verify.importing import import_network


def _network(graphs, zero, scale):
    """Whole numbers turned before they become real, then a convolution with weights of unsigned bytes."""
    stored = {
        "scale": np.float32(0.05),
        "zero": np.uint8(110),
        "w8": np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3)).astype(np.uint8),
        "ws": np.asarray(scale, np.float32),
        "wz": np.asarray(zero, np.uint8),
        "b32": np.arange(4, dtype=np.int32) * 300,
        "bs": np.float32(0.05 * np.max(scale)),
        "out_scale": np.float32(0.2),
    }
    nodes = [
        graphs.node("QuantizeLinear", "x scale zero", "q"),
        graphs.node("Transpose", "q", "t", perm=[0, 3, 1, 2]),
        graphs.node("Transpose", "t", "t2", perm=[0, 1, 3, 2]),
        graphs.node("DequantizeLinear", "t2 scale zero", "r"),
        graphs.node("DequantizeLinear", "w8 ws wz", "w", axis=0),
        graphs.node("DequantizeLinear", "b32 bs", "b", axis=0),
        graphs.node("Conv", "r w b", "a", pads=[1, 1, 1, 1]),
        graphs.node("Relu", "a", "s"),
        graphs.node("QuantizeLinear", "s out_scale zero", "o"),
        graphs.node("DequantizeLinear", "o out_scale zero", "y"),
    ]
    return graphs.model(nodes, stored, shape=("N", 8, 8, 3))


@pytest.mark.parametrize("xnnpack", [True, False], ids=["xnnpack", "plain"])
@pytest.mark.parametrize(
    ("zero", "scale", "kind"),
    [
        (90, 0.01, "UINT8"),
        (128, 0.01, "INT8"),
        ([90, 128, 7, 200], [0.01, 0.02, 0.005, 0.01], ""),
    ],
)
def test_a_convolution_of_bytes_is_computed_in_bytes(agree, graphs, zero, scale, kind, xnnpack):
    x = np.clip(graphs.pictures(2, 8, 8, 3) * 2, -5, 7)
    written = agree(_network(graphs, zero, scale), {"x": x}, most=0.02, xnnpack=xnnpack)
    network = parse("written", written.path.read_bytes())
    (conv,) = (operator for operator in network.operators if operator.kind == "CONV_2D")
    kinds = {network.tensors[number].kind for number in conv.inputs[:2]}
    assert kinds == {kind or "FLOAT32"}  # bytes with a zero point for each channel have no kernel
    if kind:
        weights = network.tensors[conv.inputs[1]]
        assert int(weights.zero_point[0]) == (90 if kind == "UINT8" else 0)


def test_a_quantised_network_goes_out_as_it_came_in(shared, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter")
    source = shared / "models" / "mobilenet-v2-224-quant.tflite"
    photos = shared / "data" / "coco"
    model = import_network(source, tmp_path / "net.onnx", data=photos).output
    done = export_network(model, "litert", tmp_path / "back.tflite", data=photos)
    assert done.check.verdict == "ok"
    assert (tmp_path / "back.tflite").stat().st_size < 1.02 * source.stat().st_size
    x = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    with open_engine(source, engine="litert", options={"raw": True}) as engine:
        wanted = next(iter(engine.run({engine.inputs[0].name: x}).values()))
    with open_engine(tmp_path / "back.tflite", engine="litert") as engine:
        real = (x.astype(np.float32) - 128) * np.float32(0.0078125)
        found = next(iter(engine.run({engine.inputs[0].name: real}).values()))
    np.testing.assert_array_equal(np.rint(found * 256), wanted)
    weights = {tensor.value.tobytes() for tensor in parse("a", source.read_bytes()).tensors
               if tensor.kind == "UINT8" and tensor.value is not None}  # fmt: skip
    again = {tensor.value.tobytes() for tensor in parse("b", (tmp_path / "back.tflite").read_bytes()).tensors
             if tensor.kind == "UINT8" and tensor.value is not None}  # fmt: skip
    assert len(weights & again) > 0.9 * len(weights)
    assert load_model(model).graph.output
