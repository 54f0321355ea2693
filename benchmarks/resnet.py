"""A network of ResNet50's shape with weights by chance, for benchmarks of speed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgeproof.formats.onnx import save_model
from edgeproof.optimize.calibrate import collect_ranges
from edgeproof.optimize.int8 import static_int8


def resnets(folder: Path) -> list[Path]:
    """Files of the network in float32 and in INT8 (QDQ, ranges from samples by chance)."""
    rng, original = np.random.default_rng(1), resnet50()
    samples = ({"x": rng.random((1, 3, 224, 224), np.float32)} for _ in range(2))
    quantised = static_int8(original, collect_ranges(original, samples).minmax()).model
    files = [folder / "resnet50-fp32.onnx", folder / "resnet50-int8.onnx"]
    for model, file in zip((original, quantised), files, strict=True):
        save_model(model, file)
    return files


def resnet50(seed: int = 0) -> Any:
    """ResNet50 (He et al. 2015), batch normalisation folded away, weights by chance."""
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    weights: list[Any] = []

    def convolve(x: str, ins: int, outs: int, size: int, stride: int, *, relu: bool) -> str:
        name = f"c{len(nodes)}"
        values = rng.normal(0, np.sqrt(1 / (ins * size * size)), (outs, ins, size, size)).astype(np.float32)
        weights.extend(
            [
                numpy_helper.from_array(values, f"{name}.w"),
                numpy_helper.from_array(np.zeros(outs, np.float32), f"{name}.b"),
            ]
        )
        pads = [size // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv",
                [x, f"{name}.w", f"{name}.b"],
                [name],
                kernel_shape=[size] * 2,
                strides=[stride] * 2,
                pads=pads,
            )
        )
        return rectify(name) if relu else name

    def rectify(x: str) -> str:
        nodes.append(helper.make_node("Relu", [x], [f"{x}.r"]))
        return f"{x}.r"

    x = convolve("x", 3, 64, 7, 2, relu=True)
    nodes.append(
        helper.make_node("MaxPool", [x], ["pooled"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    )
    x, ins = "pooled", 64
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(count):
            stride = 2 if stage and not block else 1
            y = convolve(x, ins, width, 1, 1, relu=True)
            y = convolve(y, width, width, 3, stride, relu=True)
            y = convolve(y, width, 4 * width, 1, 1, relu=False)
            side = convolve(x, ins, 4 * width, 1, stride, relu=False) if not block else x
            nodes.append(helper.make_node("Add", [y, side], [f"sum{len(nodes)}"]))
            x, ins = rectify(f"sum{len(nodes) - 1}"), 4 * width
    weights.append(numpy_helper.from_array(rng.normal(0, 0.02, (2048, 1000)).astype(np.float32), "head"))
    nodes.extend(
        [
            helper.make_node("GlobalAveragePool", [x], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "head"], ["y"]),
        ]
    )
    graph = helper.make_graph(
        nodes,
        "resnet50",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 224, 224])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1000])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
