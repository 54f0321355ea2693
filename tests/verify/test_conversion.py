"""The verdict on a conversion: equal is ok, different is shown with its input, and what can't run is never ok."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from edgeproof.core.errors import DataError, ModelError
from edgeproof.core.tensor import TensorSpec
from edgeproof.engines import open_engine
from edgeproof.verify import conversion
from edgeproof.verify.conversion import (
    HALF_TOLERANCE,
    QUANTISED_TOLERANCE,
    TOLERANCE,
    check_conversion,
    save_failing,
)
from edgeproof.verify.importing import import_network
from edgeproof.verify.samples import find_samples, sample_inputs
from imaging.picture_files import encode, scene

_X = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)


def _network(
    path: Path,
    factor: ArrayLike = 2.0,
    *,
    name: str = "x",
    shape: Sequence[int] = (1, 3, 4, 4),
    end: Sequence[Any] = (),
    outputs: Sequence[str] = ("y",),
    out_shape: Sequence[int | str] | None = None,
) -> Path:
    """y = x * factor, then the nodes `end`."""
    nodes = [helper.make_node("Mul", [name, "factor"], ["y"]), *end]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, out_shape or shape) for out in outputs],
        [numpy_helper.from_array(np.array(factor, np.float32), "factor")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(2.0, "ok"), (2.0001, "ok"), (2.0003, "differs"), (-2.0, "differs"), (float("inf"), "differs")],
)
def test_over_one_part_in_ten_thousand_it_differs(tmp_path: Path, factor: float, verdict: str) -> None:
    source, model = _network(tmp_path / "a.onnx"), _network(tmp_path / "b.onnx", factor)
    check = check_conversion(source, model, [{"x": _X}, {"x": _X * 255}])
    assert (check.verdict, check.inputs, check.tolerance) == (verdict, 2, TOLERANCE)
    (found,) = check.differences
    assert found.output == "y"
    if np.isfinite(factor):
        assert found.max_rel == pytest.approx(abs(factor - 2) / 2, abs=1e-6)
        assert found.max_abs == pytest.approx(abs(factor - 2) * 255, rel=1e-2, abs=1e-6), "the worst of both"
    assert (check.failing is not None) == bool(check.reason) == (verdict == "differs")


def test_the_input_that_shows_it_is_the_first_that_does(tmp_path: Path) -> None:
    clip = [helper.make_node("Clip", ["y", "", "factor"], ["z"])]
    source = _network(tmp_path / "a.onnx", 1.0)
    model = _network(tmp_path / "b.onnx", 1.0, end=clip, outputs=["z"])
    inputs = [{"x": _X}, {"x": _X + 1}, {"x": _X + 2}]
    check = check_conversion(source, model, inputs)
    assert check.verdict == "differs"
    assert check.failing is inputs[1]
    save_failing({"file": _X, "a/b": _X[0]}, tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as kept:
        assert np.array_equal(kept["file"], _X)
        assert np.array_equal(kept["a/b"], _X[0])


def test_quantised_networks_have_their_own_tolerance(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["y", "factor"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "factor"], ["z"]),
    ]
    source = _network(tmp_path / "a.onnx", 0.01, outputs=["y"])
    model = _network(tmp_path / "b.onnx", 0.01, end=nodes, outputs=["z"])
    check = check_conversion(source, model, [{"x": _X * 100}])
    assert (check.verdict, check.tolerance) == ("ok", QUANTISED_TOLERANCE)
    assert 0 < check.differences[0].max_rel <= QUANTISED_TOLERANCE


@pytest.mark.parametrize(("weight", "tolerance"), [(2.0, HALF_TOLERANCE), (2.0001, TOLERANCE)])
def test_weights_of_half_precision_have_their_own_tolerance(
    tmp_path: Path, weight: float, tolerance: float
) -> None:
    path = _network(tmp_path / "a.onnx", np.full((1, 3, 4, 4), weight))
    assert check_conversion(path, path, [{"x": _X}]).tolerance == tolerance


@pytest.mark.parametrize("found", [0, 2])
def test_rows_of_zeros_that_fill_up_a_table_are_no_detections(tmp_path: Path, found: int) -> None:
    axes = [helper.make_node("Constant", [], [name], value_ints=[value]) for name, value in
            (("from", 0), ("to", found), ("axis", 2))]  # fmt: skip
    cut = [*axes, helper.make_node("Slice", ["y", "from", "to", "axis"], ["z"])]
    source = _network(tmp_path / "a.onnx")
    model = _network(tmp_path / "b.onnx", end=cut, outputs=["z"], out_shape=(1, 3, "rows", 4))
    x = _X + 1
    x[:, :, found:] = 0
    assert check_conversion(source, model, [{"x": x}]).verdict == "ok"
    x[:, :, 3] = 1
    assert check_conversion(source, model, [{"x": x}]).verdict == "differs"


def test_names_and_layouts_of_other_formats_are_matched(tmp_path: Path) -> None:
    source = _network(tmp_path / "a.onnx", name="serving_x", shape=(1, 4, 4, 3))
    model = _network(tmp_path / "b.onnx")
    check = check_conversion(source, model, [{"x": _X}])
    assert (check.verdict, check.differences[0].max_abs) == ("ok", 0.0)


def test_outputs_without_their_axes_of_one_are_matched(tmp_path: Path) -> None:
    flat = [helper.make_node("Squeeze", ["y"], ["z"])]
    source = _network(tmp_path / "a.onnx", end=flat, outputs=["z"], out_shape=(3, 4, 4))
    assert check_conversion(source, _network(tmp_path / "b.onnx"), [{"x": _X}]).verdict == "ok"


def test_another_number_or_shape_of_outputs_differs(tmp_path: Path) -> None:
    more = [helper.make_node("Neg", ["y"], ["z"])]
    source = _network(tmp_path / "a.onnx", end=more, outputs=["y", "z"])
    check = check_conversion(source, _network(tmp_path / "b.onnx"), [{"x": _X}])
    assert check.verdict == "differs"
    assert "['y', 'z'] expected" in check.reason
    assert check.failing is not None


def test_a_missing_engine_is_not_checked_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeproof.engines import ENGINES

    if "openvino" not in ENGINES:
        pytest.skip("needs an optional engine in the registry")
    monkeypatch.setitem(conversion.NATIVE, "onnx", "openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    path = _network(tmp_path / "a.onnx")
    check = check_conversion(path, path, [{"x": _X}])
    assert (check.verdict, check.differences) == ("not checked", ())
    assert "pip install" in check.reason


def test_a_format_without_an_engine_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(conversion.NATIVE, "onnx")
    path = _network(tmp_path / "a.onnx")
    check = check_conversion(path, path, [{"x": _X}])
    assert check.verdict == "not checked"
    assert "onnx" in check.reason


def test_an_original_that_answers_nan_shows_nothing(tmp_path: Path) -> None:
    path = _network(tmp_path / "a.onnx")
    assert check_conversion(path, path, [{"x": _X * np.nan}]).verdict == "not checked"
    assert check_conversion(path, path, [{"x": _X * np.nan}, {"x": _X}]).verdict == "ok"
    assert check_conversion(path, path, []).verdict == "not checked"


def test_an_original_with_other_inputs_is_not_checked(tmp_path: Path) -> None:
    source = _network(tmp_path / "a.onnx", shape=(1, 3, 5, 5))
    check = check_conversion(source, _network(tmp_path / "b.onnx"), [{"x": _X}])
    assert check.verdict == "not checked"
    assert "Expected" in check.reason


def test_a_copy_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    path = _network(tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"")
    with pytest.raises(ModelError):
        check_conversion(path, tmp_path / "b.onnx", [])


@pytest.mark.parametrize(
    ("dtype", "shape", "lowest", "highest"),
    [
        ("float32", (1, 3, 24, 32), -1.0, 255.0),
        ("float32", ("N", 24, 32, 3), -1.0, 255.0),
        ("float16", (2, 1, 24, 24), -1.0, 255.0),
        ("float32", ("N", 3, "H", "W"), -1.0, 255.0),
        ("uint8", (1, 24, 24, 3), 0, 255),
        ("int8", (1, 24, 24, 3), -128, 127),
        ("int64", (1, 7), 0, 1),
        ("bool", (40,), 0, 1),
        ("float32", (), -1.0, 255.0),
    ],
)
@pytest.mark.parametrize("with_photo", [True, False])
def test_samples_fit_and_stay_in_the_usual_ranges(
    dtype: str, shape: tuple[int | str, ...], lowest: float, highest: float, with_photo: bool
) -> None:
    spec = TensorSpec("x", shape, dtype)
    photos = [scene(60, 40)] if with_photo else []
    feeds = [feed["x"] for feed in sample_inputs([spec], photos)]
    assert len(feeds) == 3
    assert all(spec.accepts(feed.shape) and feed.dtype == np.dtype(dtype) for feed in feeds)
    assert min(feed.min() for feed in feeds) >= lowest
    assert max(feed.max() for feed in feeds) <= highest
    again = [feed["x"] for feed in sample_inputs([spec], photos)]
    assert all(np.array_equal(a, b) for a, b in zip(feeds, again, strict=True))


def test_a_size_that_no_memory_has_is_a_typed_error() -> None:
    with pytest.raises(ModelError, match="values"):
        next(sample_inputs([TensorSpec("x", (1, 3, 10**6, 10**6), "float32")]))


def test_a_photo_is_the_same_picture_in_both_layouts() -> None:
    photo = scene(60, 40)
    first, last = TensorSpec("x", (1, 3, 24, 32), "float32"), TensorSpec("x", (1, 24, 32, 3), "float32")
    (a, *_), (b, *_) = (list(sample_inputs([spec], [photo])) for spec in (first, last))
    assert np.array_equal(a["x"], b["x"].transpose(0, 3, 1, 2))
    assert a["x"].std() > 0.01


def test_photos_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        find_samples(tmp_path)
    (tmp_path / "b.png").write_bytes(encode(scene(40, 30), "PNG"))
    assert len(find_samples(tmp_path)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "ultraface-rfb-320.caffemodel",
        "retinaface-wider.caffemodel",
        "yolox-nano-fp16.tflite",
        "mobilenet-v2-224-quant.tflite",
    ],
)
def test_published_networks_answer_as_in_their_own_runtime(shared: Path, tmp_path: Path, name: str) -> None:
    from edgeproof.formats import IMPORTERS

    kind, library = ("caffe", "cv2") if name.endswith("model") else ("tflite", "ai_edge_litert.interpreter")
    pytest.importorskip(library)
    if kind not in IMPORTERS or conversion.NATIVE[kind] not in conversion.ENGINES:
        pytest.skip(f"there is no importer for {kind} yet")
    result = import_network(shared / "models" / name, tmp_path / "net.onnx", data=shared / "data" / "facedet")
    assert result.check.verdict == "ok", (result.check.reason, result.check.differences)
    with open_engine(result.output) as engine:
        assert engine.outputs
