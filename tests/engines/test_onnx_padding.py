"""Zeros before a MaxPool count in an ONNX file that is opened as it is, and nothing is switched off for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.engines import open_engine
from edgeproof.engines.onnx_padding import zeros_reach_pool
from edgeproof.tasks.orientation import builtin_model

onnx = pytest.importorskip("onnx", reason="onnx makes the networks and isn't installed (extra `fit`)")
node = onnx.helper.make_node
AROUND = np.array([0, 0, 1, 1, 0, 0, 1, 1])
POOL = node("MaxPool", ["a"], ["y"], kernel_shape=[2, 2])


def _save(
    path: Path, nodes: list[Any], weights: dict[str, Any] | None = None, *, opset: int = 13, raw: bool = True
) -> Path:
    stored = []
    for name, value in {"p": AROUND, **(weights or {})}.items():
        array = np.asarray(value)
        tensor = onnx.numpy_helper.from_array(array, name)
        if not raw and array.dtype == np.float32:
            tensor = onnx.helper.make_tensor(name, 1, array.shape, array.ravel())
        stored.append(tensor)
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, "g", [info("x", 1, (1, 1, 4, 4))], [info("y", 1, None)], stored)
    opsets = [onnx.helper.make_opsetid("", opset)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=7).SerializeToString())
    return path


def _corner(path: Path) -> float:
    """The first answer to a picture of -1."""
    with open_engine(path) as engine:
        return float(engine.run({"x": -np.ones((1, 1, 4, 4), np.float32)})["y"].ravel()[0])


def _branch() -> Any:
    inner = onnx.helper.make_graph(
        [node("Pad", ["x", "p"], ["a"]), node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2])],
        "inner",
        [],
        [onnx.helper.make_tensor_value_info("b", 1, None)],
    )
    return node("If", ["true"], ["y"], then_branch=inner, else_branch=inner)


@pytest.mark.parametrize(
    ("nodes", "weights", "options"),
    [
        ([node("Pad", ["x", "p"], ["a"]), POOL], {}, {}),
        ([node("Pad", ["x", "p"], ["a"], mode="constant"), POOL], {}, {}),
        ([node("Pad", ["x", "p", "v"], ["a"]), POOL], {"v": np.float32(0)}, {}),
        ([node("Pad", ["x", "p", "v"], ["a"]), POOL], {"v": np.float32(0)}, {"raw": False}),
        ([node("Pad", ["x", "p"], ["b"]), node("Identity", ["b"], ["a"]), POOL], {}, {}),
        ([node("Pad", ["x"], ["a"], pads=AROUND.tolist()), POOL], {}, {"opset": 8}),
        ([node("Pad", ["x"], ["a"], pads=AROUND.tolist(), value=0.0), POOL], {}, {"opset": 8}),
        ([_branch()], {"true": np.bool_(1)}, {}),
    ],
)  # fmt: skip
def test_zeros_count_in_a_plain_file(tmp_path: Path, nodes: Any, weights: Any, options: Any) -> None:
    path = _save(tmp_path / "net.onnx", nodes, weights, **options)
    assert zeros_reach_pool(path)
    assert _corner(path) == 0.0


@pytest.mark.parametrize(
    ("nodes", "weights", "options", "corner"),
    [
        ([node("Pad", ["x", "p", "v"], ["a"]), POOL], {"v": np.float32(-9)}, {}, -1.0),
        ([node("Pad", ["x", "p", "v"], ["a"]), POOL], {"v": np.float32(-9)}, {"raw": False}, -1.0),
        ([node("Pad", ["x", "p", "v"], ["a"]), POOL], {"v": np.float32(-0.0)}, {}, 0.0),
        ([node("Pad", ["x", "p"], ["a"], mode="edge"), POOL], {}, {}, -1.0),
        ([node("Pad", ["x"], ["a"], pads=AROUND.tolist(), value=-9.0), POOL], {}, {"opset": 8}, -1.0),
        ([node("Pad", ["x", "p"], ["y"]), node("MaxPool", ["x"], ["b"], kernel_shape=[2, 2])], {}, {}, 0.0),
        ([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], name="Pad")], {}, {}, -1.0),
    ],
)  # fmt: skip
def test_nothing_is_switched_off_for_other_networks(
    tmp_path: Path, nodes: Any, weights: Any, options: Any, corner: float
) -> None:
    path = _save(tmp_path / "net.onnx", nodes, weights, **options)
    assert not zeros_reach_pool(path)
    assert _corner(path) == corner


def test_the_network_that_comes_with_the_package_has_none() -> None:
    assert not zeros_reach_pool(Path(builtin_model()))


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_changed_file_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: int, piece: bytes
) -> None:
    path = _save(tmp_path_factory.mktemp("changed") / "net.onnx", [node("Pad", ["x", "p"], ["a"]), POOL])
    data = path.read_bytes()
    path.write_bytes(data[:place] + piece + data[place + 1 :])
    assert zeros_reach_pool(path) in (True, False)
