from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.formats.onnx import load_model
from edgeproof.optimize.calibrate import collect_ranges
from edgeproof.optimize.int8 import dynamic_int8, static_int8
from edgeproof.optimize.opset import to_opset
from edgeproof.optimize.simplify import simplify

SAME = {"pads": [1, 1, 1, 1]}
NETWORKS = {
    "relu6": [
        ("Conv", "x w b", "c", SAME), ("Clip", "c lo hi", "d", {}), ("Conv", "d v", "e", SAME),
        ("Add", "e d", "f", {}), ("Conv", "f v", "y", SAME),
    ],
    "residual": [
        ("Conv", "x w b", "c", SAME), ("Relu", "c", "d", {}),
        ("MaxPool", "d", "m", {"kernel_shape": [2, 2], "strides": [2, 2]}), ("Conv", "m v", "e", SAME),
        ("Add", "e m", "f", {}), ("Relu", "f", "g", {}), ("Conv", "g v", "y", SAME),
    ],
    "silu": [
        ("Conv", "x w b", "c", SAME), ("Sigmoid", "c", "s", {}), ("Mul", "c s", "m", {}),
        ("Split", "m", "p q", {"axis": 1}), ("Conv", "p u", "e", SAME), ("Concat", "e q", "k", {"axis": 1}),
        ("Resize", "k - scales", "z", {"mode": "nearest"}), ("Conv", "z v", "y", SAME),
    ],
    "pooled": [
        ("Conv", "x w b", "c", SAME), ("LeakyRelu", "c", "r", {"alpha": 0.1}),
        ("AveragePool", "r", "m", {"kernel_shape": [2, 2]}), ("Conv", "m v", "y", SAME),
    ],
}  # fmt: skip


def build(graphs, rows, opset=17, **options):
    weights = {
        "w": graphs.weight(8, 3, 3, 3),
        "b": graphs.weight(8),
        "v": graphs.weight(8, 8, 3, 3),
        "u": graphs.weight(4, 4, 3, 3),
        "lo": np.float32(0),
        "hi": np.float32(6),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    nodes = [graphs.node(kind, inputs, outputs, **more) for kind, inputs, outputs, more in rows]
    used = {name for _, inputs, _, _ in rows for name in inputs.split()}
    kept = {name: value for name, value in weights.items() if name in used}
    return graphs.model(nodes, kept, shape=(1, 3, 8, 8), opset=opset, **options)


def calibrated(graphs, model, shape=(3, 8, 8)):
    pictures = graphs.pictures(24, *shape)
    return collect_ranges(model, ({"x": picture[None]} for picture in pictures))


def close(graphs, model, quantised, shape=(3, 8, 8)):
    x = graphs.pictures(1, *shape)
    old, new = graphs.run(model, x)[0], graphs.run(quantised, x)[0]
    return np.abs(new - old).max() < 0.05 * np.abs(old).max()


def fused(model, folder):
    """What ONNX Runtime makes of a network."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_answers_stay_close(graphs, name, method):
    model = build(graphs, NETWORKS[name])
    before = model.SerializeToString()
    result = static_int8(model, getattr(calibrated(graphs, model), method)())
    assert result.changed
    assert model.SerializeToString() == before
    assert result.model.graph.input == model.graph.input
    assert result.model.graph.output == model.graph.output
    assert [entry.domain for entry in result.model.opset_import] == [""]
    assert close(graphs, model, result.model)


@pytest.mark.parametrize("name", NETWORKS)
def test_everything_between_the_ends_runs_on_integers(graphs, name, tmp_path):
    model = build(graphs, NETWORKS[name])
    kinds = fused(static_int8(model, calibrated(graphs, model).minmax()).model, tmp_path)
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == 1, kinds
    assert not kinds.keys() & {"Conv", "Add", "Mul", "Clip", "Relu", "Sigmoid", "Concat"}, kinds


def test_a_last_product_gives_float(graphs, tmp_path):
    nodes = [
        graphs.node("Conv", "x w", "c"),
        graphs.node("GlobalAveragePool", "c", "g"),
        graphs.node("Flatten", "g", "f"),
        graphs.node("Gemm", "f m b", "y", transB=1),
    ]
    weights = {"w": graphs.weight(8, 3, 3, 3), "m": graphs.weight(5, 8), "b": graphs.weight(5)}
    model = graphs.model(nodes, weights, outputs={"y": 2})
    result = static_int8(model, calibrated(graphs, model).minmax())
    assert close(graphs, model, result.model)
    kinds = fused(result.model, tmp_path)
    assert kinds["QGemm"] == 1
    assert kinds["DequantizeLinear"] == 0


def test_the_tail_behind_the_last_product_stays_float(graphs):
    nodes = [
        graphs.node("Conv", "x w", "boxes"),
        graphs.node("Conv", "x v", "c"),
        graphs.node("Sigmoid", "c", "scores"),
        graphs.node("Concat", "boxes scores", "y", axis=1),
    ]
    model = graphs.model(nodes, {"w": graphs.weight(4, 3, 1, 1) * 300, "v": graphs.weight(4, 3, 1, 1)})
    quantised = static_int8(model, calibrated(graphs, model).minmax()).model
    x = graphs.pictures(1, 3, 8, 8)
    old, new = (graphs.run(net, x)[0][:, 4:] for net in (model, quantised))
    assert np.abs(new - old).max() < 0.02, "scores must not share a scale with boxes"


def test_a_clip_that_zero_is_outside_of_stays(graphs):
    rows = [("Conv", "x w b", "c", SAME), ("Clip", "c lo hi", "d", {}), ("Conv", "d v", "y", SAME)]
    model = build(graphs, rows)
    next(tensor for tensor in model.graph.initializer if tensor.name == "lo").raw_data = np.float32(
        0.3
    ).tobytes()
    result = static_int8(model, calibrated(graphs, model).minmax())
    assert graphs.kinds(result.model)["Clip"] == 1
    assert close(graphs, model, result.model)


@pytest.mark.parametrize(
    ("opset", "listed"), [(7, True), (9, True), (11, False), (12, False), (13, False), (21, False)]
)
def test_networks_of_any_opset_quantise_and_load(graphs, opset, listed):
    rows = [
        ("Conv", "x w b", "c", SAME),
        ("Relu", "c", "d", {}),
        ("Conv", "d v", "e", SAME),
        ("Add", "e d", "f", {}),
    ]
    model = build(graphs, [*rows, ("Conv", "f v", "y", SAME)], opset, listed=listed)
    result = static_int8(model, calibrated(graphs, model).mse())
    assert result.model.opset_import[0].version == max(opset, 13)
    assert close(graphs, model, result.model)


def test_the_bounds_of_an_old_clip_are_found(graphs):
    rows = [
        ("Conv", "x w b", "c", SAME),
        ("Clip", "c", "d", {"min": 0.0, "max": 6.0}),
        ("Conv", "d v", "y", SAME),
    ]
    model = build(graphs, rows, 10)
    result = static_int8(model, calibrated(graphs, model).minmax())
    assert "Clip" not in graphs.kinds(result.model)
    assert close(graphs, model, result.model)


def test_dead_channels_and_large_biases_survive(graphs):
    weight, bias = graphs.weight(8, 3, 3, 3), graphs.weight(8)
    weight[2], bias[3], weight[4], bias[4] = 0, 50.0, 1e-12, 50.0
    nodes = [graphs.node("Conv", "x w b", "y")]
    model = graphs.model(nodes, {"w": weight, "b": bias})
    quantised = static_int8(model, calibrated(graphs, model).minmax()).model
    x = graphs.pictures(1, 3, 8, 8)
    old, new = graphs.run(model, x)[0], graphs.run(quantised, x)[0]
    assert np.abs(new - old).max() < 0.5  # 50 / 255 is a step


def test_what_can_not_be_quantised(graphs):
    relu = graphs.model([graphs.node("Relu", "x", "y")], {})
    assert not static_int8(relu, {}).changed
    assert not dynamic_int8(relu).changed
    model = build(graphs, NETWORKS["relu6"])
    ranges = calibrated(graphs, model).minmax()
    for wrong in ({}, {**ranges, "d": (0.0, float("nan"))}, {**ranges, "x": (1.0, -1.0)}):
        with pytest.raises(ModelError):
            static_int8(model, wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_typed_errors(graphs, bad):
    model = build(graphs, NETWORKS["relu6"])
    ranges = calibrated(graphs, model).minmax()
    weight = graphs.weight(8, 3, 3, 3)
    weight[0, 0, 0, 0] = bad
    model.graph.initializer[0].raw_data = weight.tobytes()
    with pytest.raises(ModelError, match="'w' holds"):
        static_int8(model, ranges)


def test_dynamic_quantises_quietly_and_says_it_is_slow(graphs, caplog, capsys):
    model = build(graphs, NETWORKS["relu6"])
    before = model.SerializeToString()
    with caplog.at_level(logging.DEBUG):
        result = dynamic_int8(model)
    assert not caplog.records
    assert not capsys.readouterr().out
    assert logging.root.manager.disable == 0
    assert model.SerializeToString() == before
    assert graphs.kinds(result.model)["ConvInteger"] == 3
    assert any("slower" in note for note in result.notes)
    assert close(graphs, model, result.model)


def test_to_opset_lifts_and_never_lowers(graphs):
    model = build(graphs, NETWORKS["relu6"], 11)
    assert to_opset(model, 13).model.opset_import[0].version == 13
    assert not to_opset(model, 9).changed
    assert to_opset(model, 9).model == model
    with pytest.raises(ModelError):
        to_opset(model, 999)


def test_the_orientation_network_in_int8(graphs, shared, tmp_path):
    from PIL import Image

    model = simplify(load_model(shared / "weights" / "orientation.onnx")).model
    paths = sorted((shared / "data" / "photos" / "train").iterdir())[:4]
    pictures = [
        np.asarray(Image.open(path).convert("RGB").resize((192, 192)))
        .transpose(2, 0, 1)[None]
        .astype(np.float32)
        for path in paths
    ]
    result = static_int8(model, collect_ranges(model, ({"input": picture} for picture in pictures)).minmax())
    assert result.model.ByteSize() < 0.3 * model.ByteSize()
    kinds = fused(result.model, tmp_path)
    assert kinds["QLinearConv"] == 53
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == 1
