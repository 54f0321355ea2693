"""Small face recognition networks made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def write(
    path: Path,
    *,
    batch: int | str = "N",
    channels_last: bool = False,
    dimensions: int = 16,
    side: int = 112,
    scale: float = 1.0,
    second: bool = False,
) -> Path:
    """A network that pools the face to 8 x 8 and mixes that with seeded weights; `scale` times the outcome."""
    onnx = pytest.importorskip("onnx")
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    kernel = side // 8
    weight = np.random.default_rng(0).standard_normal((192, dimensions)).astype(np.float32) * np.float32(
        scale
    )
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if channels_last else []
    nodes += [
        node(
            "AveragePool",
            ["t" if channels_last else "x"],
            ["p"],
            kernel_shape=[kernel] * 2,
            strides=[kernel] * 2,
        ),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    shape: list[Any] = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    outputs = [value("y", 1, [batch, dimensions])]
    if second:
        outputs.insert(0, value("p", 1, [batch, 3, 8, 8]))
    graph = onnx.helper.make_graph(
        nodes, "face", [value("x", 1, shape)], outputs, [onnx.numpy_helper.from_array(weight, "w")]
    )
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8),
        str(path),
    )
    return path
