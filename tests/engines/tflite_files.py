"""Small .tflite files, made with the schema that comes with LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

_TYPES = {"float32": "FLOAT32", "uint8": "UINT8", "int8": "INT8", "int32": "INT32", "int64": "INT64"}


class Tensor(NamedTuple):
    """One tensor; a size of "N" is a batch of any size, `data` makes it a constant."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    data: np.ndarray[Any, Any] | None = None
    scale: float = 0.0
    zero: int = 0


class Operation(NamedTuple):
    """One operator, with the places of its tensors."""

    name: str
    takes: Sequence[int]
    makes: Sequence[int]
    options: str = ""
    settings: dict[str, Any] | None = None


def pack(
    tensors: Sequence[Tensor],
    operations: Sequence[Operation],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> bytes:
    """A model with one subgraph."""
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="ai-edge-litert isn't installed (extra `litert`)"
    )
    flatbuffers = pytest.importorskip("flatbuffers", reason="flatbuffers isn't installed (extra `litert`)")
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    graph.tensors, graph.operators = [], []
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    for one in tensors:
        tensor = schema.TensorT()
        tensor.name = one.name
        tensor.shape = [1 if isinstance(size, str) else size for size in one.shape]
        if any(isinstance(size, str) for size in one.shape):
            tensor.shapeSignature = [-1 if isinstance(size, str) else size for size in one.shape]
        tensor.type = getattr(schema.TensorType, _TYPES[one.dtype])
        tensor.buffer = 0
        if one.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(one.data).tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        if one.scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [one.scale]
            tensor.quantization.zeroPoint = [one.zero]
        graph.tensors.append(tensor)
    for place, one in enumerate(operations):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, one.name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = place
        operator.inputs, operator.outputs = list(one.takes), list(one.makes)
        if one.options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, one.options)
            operator.builtinOptions = getattr(schema, f"{one.options}T")()
            for key, value in (one.settings or {}).items():
                setattr(operator.builtinOptions, key, value)
        graph.operators.append(operator)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite_bytes(network: Any, name: str) -> bytes:
    """One of the networks that the conformance tests use."""
    given = [Tensor(spec.name, spec.shape, spec.dtype) for spec in network.inputs]
    made = [Tensor(spec.name, spec.shape, spec.dtype) for spec in network.outputs]
    if name == "floats":
        weights = np.arange(1, 13, dtype=np.float32).reshape(3, 4).T
        tensors = [*given, *made, Tensor("w", (4, 3), data=weights)]
        return pack(
            tensors, [Operation("FULLY_CONNECTED", [0, 2, -1], [1], "FullyConnectedOptions")], [0], [1]
        )
    if name == "bytes":
        axes = Tensor("axes", (2,), "int32", np.array([2, 3], np.int32))
        tensors = [*given, *made, Tensor("f", ("N", 3, 8, 8)), axes]
        operations = [
            Operation("CAST", [0], [2], "CastOptions", {"inDataType": 3, "outDataType": 0}),
            Operation("MEAN", [2, 3], [1], "ReducerOptions", {"keepDims": False}),
        ]
        return pack(tensors, operations, [0], [1])
    negations = [Operation("NEG", [at], [at + 2], "NegOptions") for at in (0, 1)]
    return pack([*given, *made], negations, [0, 1], [2, 3])
