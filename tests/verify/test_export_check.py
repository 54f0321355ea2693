"""The verdict on an export: against the original in ONNX Runtime, by its names; first choices are counted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.engines import ENGINES
from edgeproof.verify.conversion import EXPORT_TOLERANCE, TOLERANCE, ConversionCheck, check_export
from edgeproof.verify.samples import ZERO_TO_ONE, find_samples, sample_inputs
from imaging.picture_files import encode, scene

_X = np.array([[0.1, 0.9, 0.3], [0.8, 0.2, 0.5]], np.float32)


def _network(path: Path, factor: ArrayLike = 1.0, operator: str = "Identity") -> Path:
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("Mul", ["x", "factor"], ["m"]), helper.make_node(operator, ["m"], ["y"])]
    stored = [numpy_helper.from_array(np.asarray(factor, np.float32), "factor")]
    graph = helper.make_graph(nodes, "g", [info("x", 1, ("N", 3))], [info("y", 1, ("N", 3))], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _check(tmp_path: Path, factor: ArrayLike, *feeds: Array, operator: str = "Identity") -> ConversionCheck:
    original = _network(tmp_path / "a.onnx", operator=operator)
    made = _network(tmp_path / "b.onnx", factor, operator)
    return check_export(original, made, "onnxruntime", [{"x": one} for one in feeds or (_X,)])


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "ok"), (1.0005, "ok"), (1.01, "differs"), (np.inf, "differs")]
)
def test_another_runtime_may_be_a_little_further_away(tmp_path: Path, factor: float, verdict: str) -> None:
    check = _check(tmp_path, factor)
    assert (check.verdict, check.tolerance) == (verdict, EXPORT_TOLERANCE)
    assert (check.failing is not None) == (verdict == "differs")


def test_the_tolerance_of_the_network_counts_where_it_is_larger(tmp_path: Path) -> None:
    original = _network(tmp_path / "a.onnx")
    check = check_export(original, original, "onnxruntime", [{"x": _X}], at_least=1e-9)
    assert check.tolerance == TOLERANCE


@pytest.mark.parametrize(
    ("factor", "feeds", "share"),
    [
        ([1, 1, 1], [_X], 1.0),
        ([1, 0, 1], [_X], 0.5),
        ([0, 0, 1], [_X], 0.0),
        ([1, 0, 1], [_X[:1], _X[1:], _X[1:]], 2 / 3),
    ],
)
def test_first_choices_are_counted_over_all_rows(
    tmp_path: Path, factor: list[float], feeds: list[Array], share: float
) -> None:
    check = _check(tmp_path, factor, *feeds)
    assert check.top1 == {"y": pytest.approx(share)}
    (found,) = check.as_json()["checks"]  # type: ignore[misc]
    assert found["top1"] == pytest.approx(share)


def test_of_equal_scores_either_may_be_first(tmp_path: Path) -> None:
    tied = np.array([[0.5, 0.5, 0.1]], np.float32)
    assert _check(tmp_path, [1, 1.0001, 1], tied).top1 == {"y": 1.0}


def test_a_probability_is_compared_as_a_share_of_one(tmp_path: Path) -> None:
    unlikely = np.full((1, 3), -12, np.float32)
    assert _check(tmp_path, 1.01, unlikely, operator="Sigmoid").verdict == "ok"
    assert _check(tmp_path, 1.01, _X, operator="Sigmoid").verdict == "differs"


def test_a_runtime_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    original = _network(tmp_path / "a.onnx")
    check = check_export(original, original, "openvino", [{"x": _X}])
    assert (check.verdict, "pip install" in check.reason) == ("not checked", True)


def test_a_file_that_its_runtime_cannot_open_differs(tmp_path: Path) -> None:
    (tmp_path / "b.onnx").write_bytes(b"no network")
    check = check_export(_network(tmp_path / "a.onnx"), tmp_path / "b.onnx", "onnxruntime", [{"x": _X}])
    assert (check.verdict, check.failing) == ("differs", None)
    assert "b.onnx" in check.reason


def test_an_original_that_cannot_run_here_is_not_checked(tmp_path: Path) -> None:
    model = onnx.load(_network(tmp_path / "a.onnx"))
    model.graph.node[1].op_type, model.graph.node[1].domain = "Fancy", "acme"
    model.opset_import.add(domain="acme", version=1)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    check = check_export(tmp_path / "a.onnx", tmp_path / "a.onnx", "onnxruntime", [])
    assert check.verdict == "not checked"
    assert "Fancy" in check.reason


def test_samples_of_one_range_and_number(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encode(scene(600, 400), "JPEG"))
    photos = find_samples(tmp_path, most=2, cover=64)
    assert len(photos) == 2
    assert all(64 <= min(photo.shape[:2]) < 400 for photo in photos), "no larger than is needed"
    spec = TensorSpec("x", (1, 3, 8, 8), "float32")
    feeds = [feed["x"] for feed in sample_inputs([spec], photos, ranges=[ZERO_TO_ONE])]
    assert len(feeds) == 2
    assert 0 <= min(feed.min() for feed in feeds) <= max(feed.max() for feed in feeds) <= 1


class _OtherNames:
    """An engine with its own names for everything."""

    info = EngineInfo("other", "1", "CPU", 1, thread_safe=True)
    inputs = (TensorSpec("in0", ("N", 3), "float32"),)
    outputs = (TensorSpec("out0", ("N", 3, 1), "float32"),)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"out0": feeds["in0"][..., None]}

    def close(self) -> None: ...
    def __enter__(self) -> _OtherNames:
        return self

    def __exit__(self, *error: object) -> None: ...


def test_the_names_of_the_original_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = ENGINES.load

    def other(name: str) -> Any:
        return (lambda *_: _OtherNames()) if name == "other" else load(name)

    monkeypatch.setattr(ENGINES, "load", other)
    check = check_export(_network(tmp_path / "a.onnx"), tmp_path / "a.onnx", "other", [{"x": _X}])
    assert (check.verdict, [found.output for found in check.differences], check.top1) == (
        "ok",
        ["y"],
        {"y": 1.0},
    )
