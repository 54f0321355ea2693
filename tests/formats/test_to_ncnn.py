"""ONNX to ncnn: what it makes answers alike in our ncnn engine, and what it can't make is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EngineError, MissingExtraError, ModelError, StorageError
from edgeproof.engines import open_engine
from edgeproof.formats.onnx import load_model
from edgeproof.tasks.orientation import builtin_model


@pytest.fixture
def write():
    pytest.importorskip("ncnn", reason="ncnn runs the networks and isn't installed (extra `to-ncnn`)")
    from edgeproof.formats.to_ncnn import write
    from edgeproof.formats.to_ncnn.convert import converter

    try:
        converter()
    except MissingExtraError as error:
        pytest.skip(str(error))
    return write


def _differences(model, source: Path, made: Path, feeds) -> dict[str, float]:
    source.write_bytes(model.SerializeToString())
    with open_engine(source) as original, open_engine(made, engine="ncnn") as converted:
        wanted, found = original.run(feeds), converted.run(feeds)
        assert [spec.name for spec in converted.outputs] == [spec.name for spec in original.outputs]
    for name, value in wanted.items():
        assert found[name].shape == value.shape, name
    return {
        name: float(np.abs(found[name] - value).max() / np.abs(value).max()) for name, value in wanted.items()
    }


NETWORKS = [
    "models/yolox-nano",
    "models/yunet-n-640",
    "models/ultraface-rfb-320",
    "models/mobilefacenet-foamliu",
    "models/fastestdet",
    "models/yolov8n-topology",
    "models/yolo11n-topology",
    "models/yolo26n-topology",
    "weights/attributes",
]


def _check_network(write, file: Path, folder: Path, batch: int) -> None:
    model = load_model(file)
    write(model, folder / "made.param")
    with open_engine(file) as original:
        (spec,) = original.inputs
    free = not isinstance(spec.shape[0], int)
    shape = (batch if free else 1, *spec.shape[1:])
    feed = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    found = _differences(model, folder / "source.onnx", folder / "made.param", {spec.name: feed})
    assert max(found.values()) < 1e-3, found


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_answer_alike(shared: Path, tmp_path: Path, write, name: str) -> None:
    _check_network(write, shared / f"{name}.onnx", tmp_path, batch=2)


def test_the_network_that_comes_with_the_package(tmp_path: Path, write) -> None:
    _check_network(write, builtin_model(), tmp_path, batch=2)


W = np.random.default_rng(5).normal(size=(6, 3, 1, 1)).astype(np.float32)
INTS = lambda *values: np.array(values, np.int64)  # noqa: E731

# Steps behind a convolution of 3 channels to 6, from c to y: those that need a word changed on the way, and the rest.
STEPS = {
    "step over rows and columns": (
        "Slice",
        "c s e a t",
        {},
        {"s": (1, 0), "e": (8, 8), "a": (2, 3), "t": (2, 3)},
    ),
    "slice of channels": ("Slice", "c s e a", {}, {"s": (2,), "e": (5,), "a": (1,)}),
    "linear": (
        "Resize",
        "c - z",
        {"mode": "linear", "nearest_mode": "round_prefer_floor"},
        {"z": (1, 1, 2.0, 1.5)},
    ),
    "nearest": (
        "Resize",
        "c - z",
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"z": (1, 1, 2.0, 2.0)},
    ),
    "softmax of the last axis": ("Softmax", "c", {"axis": -1}, {}),
    "softmax of channels": ("Softmax", "c", {"axis": 1}, {}),
    "one of the rows": ("Gather", "c i", {"axis": 2}, {"i": -1}),
    "mean of channels": ("ReduceMean", "c", {"axes": [1], "keepdims": 1}, {}),
    "a vector for each channel": ("Reshape", "c r", {}, {"r": (1, 6, 64)}),
    "five axes": ("Reshape", "c r", {}, {"r": (1, 2, 3, 8, 8)}),
    "no batch axis": ("Reshape", "c r", {}, {"r": (6, 64)}),
    "max pool that ends early": (
        "MaxPool",
        "c",
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {},
    ),
}


def _step(graphs, kind, inputs, attributes, weights, *, front=True, opset=17, shape=("N", 3, 8, 8)):
    values = {
        name: np.asarray(value, np.float32 if name == "z" else np.int64) for name, value in weights.items()
    }
    nodes = [graphs.node("Conv" if front else "Relu", "x w" if front else "x", "c", name="front")]
    nodes.append(graphs.node(kind, inputs, "y", name="odd", **attributes))
    return graphs.model(nodes, {**values, **({"w": W} if front else {})}, opset=opset, shape=shape)


def _rank_of_y(model, x) -> None:
    """The test graphs tell a rank of 4; the true one is what ONNX Runtime gives."""
    model.graph.output[0].type.tensor_type.ClearField("shape")
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    model.graph.output[0].CopyFrom(inferred.graph.output[0])


@pytest.mark.parametrize("name", STEPS)
def test_a_step_answers_alike(graphs, tmp_path: Path, write, name: str) -> None:
    model = _step(graphs, *STEPS[name])
    x = graphs.pictures(1, 3, 8, 8)
    _rank_of_y(model, x)
    write(model, tmp_path / "made.param")
    found = _differences(model, tmp_path / "source.onnx", tmp_path / "made.param", {"x": x})
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid"])
def test_a_network_in_which_pnnx_finds_no_batch(graphs, tmp_path: Path, write, kind: str) -> None:
    model = _step(graphs, kind, "c", {"axis": 1} if kind == "Softmax" else {}, {}, front=False)
    write(model, tmp_path / "made.param")
    feeds = {"x": graphs.pictures(3, 3, 8, 8)}
    found = _differences(model, tmp_path / "source.onnx", tmp_path / "made.param", feeds)
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_opsets(graphs, tmp_path: Path, write, opset: int) -> None:
    model = _step(graphs, "Softmax", "c", {"axis": 1}, {}, opset=opset)
    model.ir_version = 10
    write(model, tmp_path / "made.param")
    feeds = {"x": graphs.pictures(2, 3, 8, 8)}
    found = _differences(model, tmp_path / "source.onnx", tmp_path / "made.param", feeds)
    assert max(found.values()) < 1e-4, found


def test_names_that_clash_with_pnnx_s_and_names_with_spaces(graphs, tmp_path: Path, write) -> None:
    nodes = [
        graphs.node("Conv", "x w", "2", name="a b"),
        graphs.node("Relu", "2", "1"),
        graphs.node("Sigmoid", "1", "in0"),
    ]
    model = graphs.model(nodes, {"w": W}, outputs={"in0": 4, "2": 4, "1": 4})
    write(model, tmp_path / "made.param")
    feeds = {"x": graphs.pictures(2, 3, 8, 8)}
    found = _differences(model, tmp_path / "source.onnx", tmp_path / "made.param", feeds)
    assert max(found.values()) < 1e-4, found
    model.graph.node[2].output[0] = model.graph.output[0].name = "the answer"
    notes = write(model, tmp_path / "spaced.param")
    assert any("'the_answer'" in note for note in notes)
    with open_engine(tmp_path / "spaced.param", engine="ncnn") as engine:
        assert [spec.name for spec in engine.outputs] == ["the_answer", "2", "1"]


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "weights", "says"),
    [
        ("Slice", "c s e a t", {}, {"s": (-1,), "e": (-99,), "a": (3,), "t": (-1,)}, "Slice (odd)"),
        ("Slice", "c s e a t", {}, {"s": (0,), "e": (6,), "a": (1,), "t": (2,)}, "Slice (odd)"),
        ("Resize", "c - z", {"mode": "nearest"}, {"z": (1, 1, 2, 2)}, "Resize (odd)"),
        ("Resize", "c - z", {"mode": "linear", "antialias": 1}, {"z": (1, 1, 0.5, 0.5)}, "Resize (odd)"),
        ("Gather", "c i", {"axis": 2}, {"i": (1, 3)}, "Gather (odd)"),
        ("MaxPool", "c", {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, {}, "MaxPool (odd)"),
        ("ReduceSum", "c i", {}, {"i": (1,)}, "ReduceSum (odd)"),
        ("SpaceToDepth", "c", {"blocksize": 2}, {}, "SpaceToDepth (odd)"),
        ("DepthToSpace", "c", {"blocksize": 1}, {}, "DepthToSpace (odd)"),
        ("CumSum", "c i", {}, {"i": 1}, "CumSum (odd)"),
        ("Softsign", "c", {}, {}, "Softsign (odd)"),
        ("Fancy", "c", {"domain": "acme"}, {}, "acme.Fancy (odd)"),
    ],
)
def test_what_would_come_out_wrong_is_refused_by_name(
    graphs, tmp_path: Path, write, kind, inputs, attributes, weights, says
) -> None:
    opset = 19 if "antialias" in attributes else 17
    model = _step(graphs, kind, inputs, attributes, weights, opset=opset)
    model.opset_import.add(domain="acme", version=1)
    with pytest.raises(ModelError) as caught:
        write(model, tmp_path / "made.param")
    assert says in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "says"),
    [(("N", 3, "H", 8), "Size 2"), ((4, 3, 8, 8), "batch of 4"), ((1, 3, 2, 2, 2, 2), "6 axes")],
)
def test_shapes_that_ncnn_cant_have(graphs, tmp_path: Path, write, shape, says: str) -> None:
    model = graphs.model([graphs.node("Relu", "x", "y")], {}, shape=shape)
    with pytest.raises(ModelError, match=says):
        write(model, tmp_path / "made.param")


def test_inputs_and_outputs_are_floats(graphs, tmp_path: Path, write) -> None:
    model = _step(graphs, "ArgMax", "c", {"axis": 1}, {})
    model.graph.output[0].type.tensor_type.elem_type = 7
    with pytest.raises(ModelError, match="i64"):
        write(model, tmp_path / "made.param")
    model = graphs.model([graphs.node("Neg", "x", "y")], {})
    model.graph.input[0].type.tensor_type.elem_type = model.graph.output[0].type.tensor_type.elem_type = 11
    with pytest.raises(ModelError, match="float32"):
        write(model, tmp_path / "made.param")


def test_a_crash_of_the_converter_is_an_error(graphs, tmp_path: Path, write) -> None:
    model = graphs.model(
        [graphs.node("Relu", "x", "y"), graphs.node("Identity", "y", "z")], {}, outputs={"y": 4, "z": 4}
    )
    with pytest.raises(ModelError, match="crashed"):
        write(model, tmp_path / "made.param")
    assert list(tmp_path.iterdir()) == []


def test_the_old_pair_stays_where_the_new_one_fails(graphs, tmp_path: Path, write) -> None:
    pair = [tmp_path / "made.param", tmp_path / "made.bin"]
    for file in pair:
        file.write_text("old")
    with pytest.raises(ModelError):
        write(_step(graphs, "Softsign", "c", {}, {}), pair[0])
    assert [file.read_text() for file in pair] == ["old", "old"]
    write(_step(graphs, "Relu", "c", {}, {}), pair[0])
    assert sorted(tmp_path.iterdir()) == sorted(pair)
    assert pair[0].read_text().startswith("7767517\n")


def test_a_place_that_cant_be_written_to(graphs, tmp_path: Path, write) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write(_step(graphs, "Relu", "c", {}, {}), tmp_path / "file" / "made.param")


def test_a_file_that_tells_other_shapes_than_it_has(graphs, tmp_path: Path, write) -> None:
    file = tmp_path / "made.param"
    write(_step(graphs, "Relu", "c", {}, {}), file)
    text = file.read_text()
    for old, new in (("output y", "output z"), ("input x 1x3x8x8", "input x 1x3x8x9"), ("1x3x8x8", "1x3xa")):
        file.write_text(text.replace(old, new))
        with pytest.raises(ModelError, match=r"made\.param"):
            open_engine(file, engine="ncnn")
    file.write_text(text.replace("y 1x6x8x8", "y 1x6x8x9"))
    with (
        open_engine(file, engine="ncnn") as engine,
        pytest.raises(EngineError, match="changed"),
    ):
        engine.run({"x": np.zeros((1, 3, 8, 8), np.float32)})


def test_what_is_missing_is_named(graphs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeproof.formats.to_ncnn import convert

    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"edgeproof\[to-ncnn\]"):
        convert.converter()
