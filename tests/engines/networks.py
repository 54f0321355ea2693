"""The same small networks for every engine of the registry, as the files that each opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, MissingExtraError
from edgeproof.core.tensor import TensorSpec
from edgeproof.engines import open_engine
from engines.tflite_files import tflite_bytes


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

WEIGHTS = np.arange(1, 13, dtype=np.float32).reshape(3, 4)


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

    stored = [onnx.numpy_helper.from_array(WEIGHTS, "w")] if name == "floats" else []
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


def _opencv(folder: Path, name: str) -> Path:
    if name != "floats":
        pytest.skip("OpenCV's networks take float32 only")
    return _onnx(folder, name)


def _ncnn(folder: Path, name: str) -> Path:
    if name != "floats":
        pytest.skip("ncnn's networks take float32 only")
    file = folder / f"{name}.param"
    file.write_text(
        "7767517\n2 2\nInput x 0 1 x 0=3\nInnerProduct y 1 1 x y 0=4 1=0 2=12\n", encoding="ascii"
    )
    # A flag of four bytes says that the weights are float32; then one row for each output.
    file.with_suffix(".bin").write_bytes(bytes(4) + np.ascontiguousarray(WEIGHTS.T).tobytes())
    return file


def _litert(folder: Path, name: str) -> Path:
    if name == "fixed":
        pytest.skip("LiteRT's Neg takes no float64")
    file = folder / f"{name}.tflite"
    file.write_bytes(tflite_bytes(NETWORKS[name], name))
    return file


def _torch(folder: Path, name: str) -> Path:
    torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
    answers: dict[str, Callable[..., dict[str, Any]]] = {
        "floats": lambda x: {"y": x @ torch.from_numpy(WEIGHTS)},
        "bytes": lambda x: {"y": x.float().mean((2, 3))},
        "fixed": lambda x: {"y": -x},
        "two": lambda a, b: {"y": -a, "z": -b},
    }

    class OneInput(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> dict[str, Any]:
            return answers[name](x)

    class TwoInputs(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, a: Any, b: Any) -> dict[str, Any]:
            return answers[name](a, b)

    batch = torch.export.Dim("N")
    specs = NETWORKS[name].inputs
    feeds = tuple(torch.from_numpy(rows(spec, 2)) for spec in specs)
    free = tuple({0: batch} if spec.shape[0] == "N" else None for spec in specs)
    network = TwoInputs() if name == "two" else OneInput()
    file = folder / f"{name}.pt2"
    torch.export.save(torch.export.export(network, feeds, dynamic_shapes=free), file)
    return file


def _tensorrt(folder: Path, name: str) -> Path:
    pytest.skip("TensorRT runs on no processor; see test_tensorrt_engine.py")


# An engine without a row here fails the suite: give it the file that holds the same networks.
MAKERS = {
    "onnxruntime": _onnx,
    "openvino": _onnx,
    "litert": _litert,
    "opencv": _opencv,
    "ncnn": _ncnn,
    "null": _null,
    "tensorrt": _tensorrt,
    "torch": _torch,
}


def skip_if_missing(engine: str, folder: Path) -> None:
    """Skip the test where the library behind an engine isn't installed, with the words that a user gets."""
    probe = folder / "probe"
    probe.write_bytes(b"not a model")
    try:
        open_engine(probe, engine=engine)
    except MissingExtraError as error:
        pytest.skip(str(error))
    except EdgeproofError:
        pass


def rows(spec: TensorSpec, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """`count` different rows that fit."""
    shape = [size if isinstance(size, int) else count for size in spec.shape]
    return np.random.default_rng(seed).integers(1, 200, shape).astype(spec.dtype)
