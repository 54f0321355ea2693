"""What a .tflite file says: tensors and operators of its main graph.

Slots and codes are those of TensorFlow Lite's schema, version 3 (tensorflow/lite/schema/schema.fbs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.tflite.flatbuffer import AGAIN, Reader, Table
from edgeproof.formats.tflite.names import OPERATOR_NAMES, TYPE_NAMES

_MOST = 100_000
_DEEPEST = 8
_DTYPES = {
    "FLOAT32": "f4",
    "FLOAT16": "f2",
    "INT32": "i4",
    "UINT8": "u1",
    "INT64": "i8",
    "BOOL": "?",
    "INT16": "i2",
    "INT8": "i1",
}
_NO_FLOATS: NDArray[np.float32] = np.zeros(0, np.float32)
_NO_INTS: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Tensor:
    """One tensor: sizes as the file gives them (-1 replaced by 1), and its value where it is stored.

    `scale` and `zero_point` are empty where it isn't quantised, of one element, or of one for each index of `axis`.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    value: Array | None = None
    free: bool = False
    scale: NDArray[np.float32] = field(default_factory=lambda: _NO_FLOATS)
    zero_point: NDArray[np.int64] = field(default_factory=lambda: _NO_INTS)
    axis: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its type in numpy."""
        return np.dtype(_DTYPES[self.kind])

    @property
    def quantised(self) -> bool:
        """Whether it stands for real numbers: (value - zero point) * scale."""
        return self.scale.size > 0 and self.kind in ("UINT8", "INT8")


@dataclass(frozen=True)
class Operator:
    """One operator: what it takes (-1: left out) and makes, by the tensors' numbers, and its options."""

    number: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def integer(self, slot: int, default: int = 0, code: str = "i") -> int:
        """An option that is a whole number."""
        return self.options.integer(slot, code, default) if self.options else default

    def small(self, slot: int) -> int:
        """An option of one byte: an enumeration or a truth value."""
        return self.integer(slot, 0, "b")

    def real(self, slot: int) -> float:
        """An option that is a floating-point number."""
        return self.options.real(slot) if self.options else 0.0


@dataclass(frozen=True)
class Network:
    """The main graph of a file."""

    file: str
    size: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    graphs: int


def parse(name: str, data: bytes) -> Network:
    """Read the bytes of a .tflite file; `name` is what errors call it.

    Raises:
        ModelError: it is empty, no .tflite file, cut short or damaged: with the place.
    """
    if not data:
        raise ModelError(f"{name} is empty (0 bytes).", hint=AGAIN)
    # The identifier of the schema stands behind the offset of the root.
    if data[4:8] != b"TFL3":
        raise ModelError(
            f"{name} is not a .tflite file: it doesn't begin with the mark TFL3 at byte 4.", hint=AGAIN
        )
    reader = Reader(name, data)
    root = reader.root()
    version = root.integer(0, "I")
    if version != 3:
        raise ModelError(f"{name} is of TFLite schema {version}: only 3 can be read.", hint=AGAIN)
    graphs = root.tables(2, "graph", _MOST)
    if not graphs:
        raise ModelError(f"{name} holds no graph.", hint=AGAIN)
    codes = [_operator_name(code) for code in root.tables(1, "operator code", _MOST)]
    buffers = root.tables(4, "buffer", _MOST)
    main = graphs[0]
    tensors = tuple(
        _tensor(reader, number, table, buffers)
        for number, table in enumerate(main.tables(0, "tensor", _MOST))
    )
    operators = []
    for number, table in enumerate(main.tables(3, "operator", _MOST)):
        code = table.integer(0, "I")
        if code >= len(codes):
            raise reader.broken(f"operator {number} has the code {code} of {len(codes)}", table.start)
        options = table.table(4, f"the options of operator {number} ({codes[code]})")
        operators.append(Operator(number, codes[code], table.integers(1), table.integers(2), options))
    network = Network(
        name, len(data), tensors, tuple(operators), main.integers(1), main.integers(2), len(graphs)
    )
    _check_numbers(network)
    return network


def _operator_name(table: Table) -> str:
    # Codes over 127 stand in the wider field that came later; writers fill both as far as they can.
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    if code == OPERATOR_NAMES.index("CUSTOM"):
        return f"CUSTOM {table.text(1)!r}"
    return OPERATOR_NAMES[code] if 0 <= code < len(OPERATOR_NAMES) else f"operator code {code}"


def _tensor(reader: Reader, number: int, table: Table, buffers: list[Table]) -> Tensor:
    name = table.text(3) or f"tensor_{number}"
    code = table.integer(1, "b")
    kind = TYPE_NAMES[code] if 0 <= code < len(TYPE_NAMES) else f"type {code}"
    shape = table.integers(0)
    free = -1 in (*shape, *table.integers(7))
    shape = tuple(1 if size == -1 else size for size in shape)
    if len(shape) > _DEEPEST or any(size < 0 for size in shape):
        raise reader.broken(f"tensor {number} ({name}) has the impossible shape {list(shape)}", table.start)
    index = table.integer(2, "I")
    if index and index >= len(buffers):
        raise reader.broken(f"tensor {number} ({name}) has buffer {index} of {len(buffers)}", table.start)
    value = None
    raw = _bytes_of(reader, buffers[index]) if index else np.zeros(0, np.uint8)
    if table.table(6, f"the sparsity of tensor {number}") is not None:
        raise ModelError(
            f"{reader.name}: tensor {number} ({name}) is stored sparse, which isn't read.",
            hint="Convert the network without the sparsity optimisation.",
        )
    if raw.size:
        if kind not in _DTYPES:
            raise ModelError(
                f"{reader.name}: tensor {number} ({name}) is stored as {kind}, which isn't read.",
                hint="Convert the network as float32, float16 or int8.",
            )
        dtype = np.dtype(_DTYPES[kind])
        if raw.size != math.prod(shape) * dtype.itemsize:
            raise reader.broken(
                f"tensor {number} ({name}) of shape {list(shape)} and type {kind} has {raw.size} bytes",
                buffers[index].start,
            )
        value = raw.view(dtype).reshape(shape)
    scale, zero_point, axis = _quantisation(reader, number, name, kind, shape, table)
    return Tensor(name, shape, kind, value, free, scale, zero_point, axis)


def _bytes_of(reader: Reader, table: Table) -> NDArray[np.uint8]:
    inside: NDArray[np.uint8] = table.array(0, "u1")
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if inside.size or offset <= 1:
        return inside
    # Files over 2 GB keep their buffers behind the flatbuffer, at an offset from the file's beginning.
    if offset + size > len(reader.data):
        raise reader.broken(f"a buffer of {size} bytes at {offset} lies outside the file", table.start)
    return np.frombuffer(reader.data, np.uint8, size, offset)


def _quantisation(
    reader: Reader, number: int, name: str, kind: str, shape: tuple[int, ...], tensor: Table
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    table = tensor.table(4, f"the quantisation of tensor {number}")
    scale = table.array(2, "f4") if table else _NO_FLOATS
    if scale.size and kind == "INT16":
        raise ModelError(
            f"{reader.name}: tensor {number} ({name}) is quantised to 16 bits, which isn't read.",
            hint="Convert the network with 8-bit activations, or as float32.",
        )
    if table is None or not scale.size or kind not in ("UINT8", "INT8"):
        return _NO_FLOATS, _NO_INTS, 0
    zero_point = table.array(3, "i8")
    axis = table.integer(6, "i")
    if zero_point.size == 0:
        zero_point = np.zeros(scale.size, np.int64)
    if zero_point.size == 1:
        zero_point = np.broadcast_to(zero_point, scale.shape)
    limits = np.iinfo(_DTYPES[kind])
    per_axis = 0 <= axis < len(shape) and scale.size == shape[axis]
    if zero_point.size != scale.size or (scale.size > 1 and not per_axis):
        raise reader.broken(
            f"tensor {number} ({name}) has {scale.size} scales and {zero_point.size} zero points "
            f"on axis {axis} of its shape {list(shape)}",
            table.start,
        )
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise reader.broken(f"a scale of tensor {number} ({name}) is not a number above 0", table.start)
    if ((zero_point < limits.min) | (zero_point > limits.max)).any():
        raise reader.broken(f"a zero point of tensor {number} ({name}) is outside {kind}", table.start)
    return scale, zero_point, axis


def _check_numbers(network: Network) -> None:
    count = len(network.tensors)

    def check(numbers: tuple[int, ...], whose: str, lowest: int) -> None:
        for number in numbers:
            if not lowest <= number < count:
                raise ModelError(
                    f"{network.file} is damaged: {whose} refers to tensor {number} of {count}.", hint=AGAIN
                )

    check(network.inputs, "the list of inputs", 0)
    check(network.outputs, "the list of outputs", 0)
    for operator in network.operators:
        check(operator.inputs, f"operator {operator.number} ({operator.kind})", -1)
        check(operator.outputs, f"operator {operator.number} ({operator.kind})", 0)
    if not network.inputs or not network.outputs:
        raise ModelError(f"{network.file} has a graph without inputs or without outputs.", hint=AGAIN)
    if len(set(network.inputs)) != len(network.inputs) or len(set(network.outputs)) != len(network.outputs):
        raise ModelError(f"{network.file} lists an input or an output twice.", hint=AGAIN)
