"""A detector of one convolution, of FastestDet's form: small enough to look at thousands of pictures in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CHANNELS = 5 + 2


def small_detector(
    path: Path, shape: tuple[int | str, ...], *, kind: str = "FLOAT", last: bool = False, bias: float = 0.95
) -> Path:
    """A map of stride 16 that answers an object in every cell, of class 1 where the picture is bright there."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((CHANNELS, 3, 16, 16), np.float32)
    weight[6] = 1 / (3 * 256) / (255 if kind == "UINT8" else 1)
    offset = np.array([bias, 0, 0, -4, -4, 0.5, 0], np.float32)
    dtype = np.float16 if kind == "FLOAT16" else np.float32
    nodes, name = [], "x"
    if last:
        nodes.append(helper.make_node("Transpose", [name], ["t"], perm=[0, 3, 1, 2]))
        name = "t"
    if kind == "UINT8":
        nodes.append(helper.make_node("Cast", [name], ["c"], to=TensorProto.FLOAT))
        name = "c"
    nodes.append(helper.make_node("Conv", [name, "w", "b"], ["y"], kernel_shape=[16, 16], strides=[16, 16]))
    stored = [
        numpy_helper.from_array(weight.astype(dtype), "w"),
        numpy_helper.from_array(offset.astype(dtype), "b"),
    ]
    sizes = [
        size // 16 if isinstance(size, int) else f"{size}16" for size in (shape[1:3] if last else shape[2:])
    ]
    out = TensorProto.FLOAT16 if kind == "FLOAT16" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", getattr(TensorProto, kind), shape)],
        [helper.make_tensor_value_info("y", out, [shape[0], CHANNELS, *sizes])],
        stored,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
