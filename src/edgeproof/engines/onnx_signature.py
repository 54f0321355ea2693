"""What goes into and comes out of an ONNX file, read without the onnx library (field numbers: onnx.proto)."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import TensorSpec
from edgeproof.engines.protobuf import fields, message, messages, text

_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}
_MODEL_GRAPH, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _TENSOR_NAME = 7, 5, 11, 12, 8


def read_signature(file: Path) -> tuple[list[TensorSpec], list[str]]:
    """`onnx_signature` of a file, which is mapped and not loaded: its weights may be large.

    Raises:
        ModelError: it is no ONNX model.
        OSError: it can't be read.
    """
    with file.open("rb") as opened:
        # Not closed here but when its last view goes: an exception on its way up holds some.
        return onnx_signature(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def onnx_signature(data: bytes | mmap.mmap) -> tuple[list[TensorSpec], list[str]]:
    """The inputs that the graph must be given (those that aren't stored weights), and the names of its outputs.

    Arguments:
        data: the whole file.

    Returns:
        The inputs, with the shape () where the file tells none; the outputs' names.

    Raises:
        ModelError: the bytes are no ONNX model.
    """
    try:
        graph = message(memoryview(data), _MODEL_GRAPH)
        stored = {text(weight, _TENSOR_NAME) for weight in messages(graph, _GRAPH_INITIALIZER)}
        values = {text(value, 1): value for value in messages(graph, _GRAPH_INPUT)}
        specs = [_spec(name, value) for name, value in values.items() if name not in stored]
        return specs, [text(value, 1) for value in messages(graph, _GRAPH_OUTPUT)]
    except (ValueError, LookupError) as error:
        raise ModelError(
            "The file is no ONNX model, or is cut short.", hint="Fetch or export it again."
        ) from error


def _spec(name: str, value: memoryview) -> TensorSpec:
    tensor = message(message(value, 2), 1)
    kind = next((number for field, number in fields(tensor) if field == 1), None)
    if not isinstance(kind, int) or kind not in _DTYPES:
        raise ModelError(
            f"Input {name!r} is of ONNX's type number {kind}.",
            hint=f"Supported: {', '.join(_DTYPES.values())}.",
        )
    shape: list[int | str] = []
    told = next(messages(tensor, 2), memoryview(b""))
    for axis, size in enumerate(messages(told, 1)):
        known = next((number for field, number in fields(size) if field == 1), None)
        if isinstance(known, int) and known < 1 << 63:  # a negative size has its highest bit set
            shape.append(known)
        else:
            shape.append(text(size, 2) or f"d{axis}")
    return TensorSpec(name, tuple(shape), _DTYPES[kind])
