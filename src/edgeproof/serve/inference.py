"""One inference of the Open Inference Protocol, version 2, with its binary tensor extension: in a worker.

github.com/kserve/open-inference-protocol, and the extension in the Triton server's protocol documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edgeproof.core.errors import InputError
from edgeproof.core.protocols import Engine
from edgeproof.core.tensor import Array, TensorSpec, check_feeds

# The protocol's names of what numpy calls otherwise.
DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in DATATYPES.items()}
# No network has more; a list of a million would take the worker's time.
_MOST_TENSORS = 64


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    outputs: list[_Wanted] = []
    id: str = ""
    parameters: dict[str, Any] = {}


@dataclass(frozen=True)
class Inferred:
    """An answer: the JSON, and the binary tensors behind it."""

    document: bytes
    tensors: Sequence[bytes]


def infer(engine: Engine, model: str, body: bytes, json_bytes: int | None) -> Inferred:
    """Answer one request.

    Arguments:
        engine: what runs it.
        model: the name it was asked under.
        body: the JSON, then the binary tensors in the order of the inputs that have them.
        json_bytes: how long the JSON is; None where it is all of the body.

    Raises:
        InputError: the request is not what the protocol or the network wants.
    """
    length = len(body) if json_bytes is None else json_bytes
    if length > len(body):
        raise InputError(
            f"The JSON should have {length} bytes, and the whole body has {len(body)}.",
            hint="Check the header Inference-Header-Content-Length.",
        )
    request = _read(memoryview(body)[:length])
    feeds = _feeds(request, engine.inputs, memoryview(body)[length:])
    check_feeds(engine.inputs, feeds)
    return _answer(request, model, _run(engine, feeds), engine.outputs)


def _read(data: memoryview) -> _Request:
    try:
        request = msgspec.json.decode(data, type=_Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"The request is not what the protocol has: {error}.",
            hint='It begins with JSON: {"inputs":[{"name","shape","datatype","data"}]}.',
        ) from error
    if max(len(request.inputs), len(request.outputs)) > _MOST_TENSORS:
        raise InputError(f"The request names more than {_MOST_TENSORS} tensors.", hint="No network has them.")
    return request


def _feeds(request: _Request, specs: Sequence[TensorSpec], binary: memoryview) -> dict[str, Array]:
    known = {spec.name: spec for spec in specs}
    feeds: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in feeds:
            raise InputError(f"Input {tensor.name!r} is given twice.", hint="Give each once.")
        dtype = _dtype(tensor, known.get(tensor.name))
        count = _count(tensor)
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            feeds[tensor.name] = _from_list(tensor, dtype, count)
            continue
        if type(size) is not int or size != count * dtype.itemsize or size > len(binary):
            raise InputError(
                f"Input {tensor.name!r} has the shape {tensor.shape} and so {count * dtype.itemsize} bytes; its"
                f" binary_data_size is {size!r}, and {len(binary)} bytes are left.",
                hint="Send the tensors' bytes right behind the JSON, in the order of the inputs.",
            )
        # A copy, which is aligned: the bytes behind the JSON begin anywhere.
        feeds[tensor.name] = np.frombuffer(binary[:size], dtype).reshape(tensor.shape).copy()
        binary = binary[size:]
    if len(binary):
        raise InputError(
            f"{len(binary)} bytes are left behind the last tensor.", hint="Check every binary_data_size."
        )
    return feeds


def _dtype(tensor: _Tensor, spec: TensorSpec | None) -> np.dtype[Any]:
    if spec is not None and tensor.datatype != DATATYPES.get(spec.dtype):
        raise InputError(
            f"Input {tensor.name!r} is sent as {tensor.datatype[:20]!r}.",
            hint=f"The network takes {DATATYPES.get(spec.dtype)}.",
        )
    if tensor.datatype not in _DTYPES:
        raise InputError(
            f"There is no datatype {tensor.datatype[:20]!r} here.", hint=f"Known: {', '.join(_DTYPES)}."
        )
    dtype: np.dtype[Any] = np.dtype(_DTYPES[tensor.datatype]).newbyteorder("<")
    return dtype


def _count(tensor: _Tensor) -> int:
    if any(size < 0 for size in tensor.shape) or len(tensor.shape) > 16:
        raise InputError(
            f"Input {tensor.name!r} has the shape {tensor.shape[:16]}.", hint="Sizes are 0 or more."
        )
    return math.prod(tensor.shape)


def _from_list(tensor: _Tensor, dtype: np.dtype[Any], count: int) -> Array:
    if tensor.data is None:
        raise InputError(
            f"Input {tensor.name!r} has no data.", hint="Give `data`, or binary_data_size and the bytes."
        )
    try:
        # Through its own type first: numpy would take "1" for 1, true for 1.0, and 300 for a byte of 44.
        values = np.asarray(tensor.data)
        wanted = "b" if dtype.kind == "b" else "iuf" if dtype.kind == "f" else "iu"
        if values.size and values.dtype.kind not in wanted:
            raise ValueError("its values are of another kind")
        with np.errstate(over="ignore"):
            converted = values.astype(dtype)
        if not (np.isfinite(converted).all() if dtype.kind == "f" else np.array_equal(converted, values)):
            raise ValueError("some of its values don't fit in there")
    except (ValueError, OverflowError, TypeError) as error:
        raise InputError(
            f"Input {tensor.name!r} is no {tensor.datatype} tensor: {str(error)[:100]}.",
            hint="Give its numbers in one list, or in lists nested like its shape.",
        ) from error
    if values.size != count or (values.ndim > 1 and list(values.shape) != tensor.shape):
        raise InputError(
            f"Input {tensor.name!r} has the shape {tensor.shape}, and its data have {list(values.shape)}.",
            hint="Both must say the same.",
        )
    return converted.reshape(tensor.shape)


def _run(engine: Engine, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Row by row where every tensor has the same symbolic first size: a batch is no faster on a processor, and
    the memory for what is between input and output would grow with it.
    """
    specs = (*engine.inputs, *engine.outputs)
    first = {spec.shape[0] if spec.shape else None for spec in specs}
    rows = {len(array) for array in feeds.values() if array.ndim}
    if len(first) != 1 or not isinstance(next(iter(first)), str) or len(rows) != 1 or rows <= {0, 1}:
        return engine.run(feeds)
    answers = [
        engine.run({name: array[row : row + 1] for name, array in feeds.items()}) for row in range(rows.pop())
    ]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _answer(
    request: _Request, model: str, outputs: Mapping[str, Array], specs: Sequence[TensorSpec]
) -> Inferred:
    wanted = request.outputs or [_Wanted(spec.name) for spec in specs]
    all_binary = request.parameters.get("binary_data_output") is True
    rows, tensors = [], []
    for one in wanted:
        if one.name not in outputs:
            raise InputError(
                f"The network has no output {one.name!r}.", hint=f"It has: {', '.join(outputs)}."
            )
        array = outputs[one.name]
        row: dict[str, Any] = {
            "name": one.name,
            "shape": list(array.shape),
            "datatype": DATATYPES[str(array.dtype)],
        }
        if one.parameters.get("binary_data", all_binary) is True:
            data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
            row["parameters"] = {"binary_data_size": len(data)}
            tensors.append(data)
        else:
            row["data"] = _as_list(array, one.name)
        rows.append(row)
    document = {"model_name": model, "model_version": "1", "outputs": rows}
    if request.id:
        document["id"] = request.id
    return Inferred(msgspec.json.encode(document), tensors)


def _as_list(array: Array, name: str) -> list[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"Output {name!r} has NaN or infinity, which JSON can't hold.",
            hint="Look for NaN in what you send, or ask for the output with binary_data.",
        )
    flat: list[Any] = array.ravel().tolist()
    return flat
