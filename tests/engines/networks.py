"""The same small networks for every engine of the registry, as the files that each opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgeproof.core.tensor import TensorSpec


class Network(NamedTuple):
    """What a conforming engine must say of a network."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


NETWORKS = {
    "floats": Network((TensorSpec("x", ("N", 3), "float32"),), (TensorSpec("y", ("N", 4), "float32"),)),
    "bytes": Network((TensorSpec("x", ("N", 3, 8, 8), "uint8"),), (TensorSpec("y", ("N", 3), "float32"),)),
    "fixed": Network((TensorSpec("x", (1, 3), "float64"),), (TensorSpec("y", (1, 3), "float64"),)),
    "two": Network(
        (TensorSpec("a", ("N", 2), "float32"), TensorSpec("b", ("N",), "int64")),
        (TensorSpec("y", ("N", 2), "float32"), TensorSpec("z", ("N",), "int64")),
    ),
}


def _onnx(folder: Path, name: str) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx makes the networks and isn't installed (extra `fit`)")
    helper = onnx.helper
    node = helper.make_node
    nodes = {
        "floats": [node("MatMul", ["x", "w"], ["y"])],
        "bytes": [
            node("Cast", ["x"], ["f"], to=onnx.TensorProto.FLOAT),
            node("GlobalAveragePool", ["f"], ["p"]),
            node("Flatten", ["p"], ["y"]),
        ],
        "fixed": [node("Neg", ["x"], ["y"])],
        "two": [node("Neg", ["a"], ["y"]), node("Neg", ["b"], ["z"])],
    }[name]

    def infos(specs: tuple[TensorSpec, ...]) -> list[Any]:
        return [
            helper.make_tensor_value_info(
                spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), spec.shape
            )
            for spec in specs
        ]

    weights = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    stored = [onnx.numpy_helper.from_array(weights, "w")] if name == "floats" else []
    graph = helper.make_graph(
        nodes, name, infos(NETWORKS[name].inputs), infos(NETWORKS[name].outputs), stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = folder / f"{name}.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def _null(folder: Path, name: str) -> Path:
    def tensors(specs: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
        return [{"name": spec.name, "shape": spec.shape, "dtype": spec.dtype} for spec in specs]

    network = NETWORKS[name]
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"inputs": tensors(network.inputs), "outputs": tensors(network.outputs)}))
    return file


# An engine without a row here fails the suite: give it the file that holds the same networks.
MAKERS = {"onnxruntime": _onnx, "null": _null}


def rows(spec: TensorSpec, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """`count` different rows that fit."""
    shape = [size if isinstance(size, int) else count for size in spec.shape]
    return np.random.default_rng(seed).integers(1, 200, shape).astype(spec.dtype)
