"""A TFLite graph in memory, and its bytes.

Slots and codes are those of TensorFlow Lite's schema, version 3 (tensorflow/lite/schema/schema.fbs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError
from edgeproof.core.extras import require
from edgeproof.core.tensor import Array
from edgeproof.formats.tflite.names import OPERATOR_NAMES, TYPE_NAMES

KINDS = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "float64": "FLOAT64",
    "int32": "INT32",
    "int64": "INT64",
    "int16": "INT16",
    "int8": "INT8",
    "uint8": "UINT8",
    "bool": "BOOL",
}
# The member of the union BuiltinOptions that holds the options of an operator.
_OPTIONS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
    "FULLY_CONNECTED": 8,
    "SOFTMAX": 9,
    "CONCATENATION": 10,
    "ADD": 11,
    "LOCAL_RESPONSE_NORMALIZATION": 13,
    "RESIZE_BILINEAR": 15,
    "SPACE_TO_DEPTH": 19,
    "MUL": 21,
    "GATHER": 23,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), 27),
    "SUB": 28,
    "DIV": 29,
    "STRIDED_SLICE": 32,
    "SPLIT": 35,
    "CAST": 37,
    "ARG_MAX": 40,
    "TRANSPOSE_CONV": 49,
    "ARG_MIN": 57,
    "RESIZE_NEAREST_NEIGHBOR": 74,
    "LEAKY_RELU": 75,
    "MIRROR_PAD": 77,
    "SPLIT_V": 79,
    "DEPTH_TO_SPACE": 94,
    "BATCH_MATMUL": 101,
}
_LARGEST = 2**31 - 2**20  # offsets in a flatbuffer are of 31 bits; some room for what describes the weights
# What the kernels read weights as: vectors of this many bytes (schema.fbs, Buffer: force_align 16).
_ALIGNMENT = 16

# An option: how it is stored (b: byte, i: int32, f: float32) and its value.
Option = tuple[str, float]


@dataclass(frozen=True)
class Quantisation:
    """Real numbers as (whole number - zero) * scale: one of each, or one for each index of `axis`."""

    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int = 0

    def same_as(self, other: Quantisation | None) -> bool:
        """Whether both give the same whole numbers."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )


@dataclass
class Tensor:
    """One tensor: `value` where it is stored, `signature` where sizes are free (-1)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    value: Array | None = None
    quantisation: Quantisation | None = None
    signature: tuple[int, ...] = ()


@dataclass
class Operator:
    """One operator: the numbers of the tensors that it takes (-1: left out) and makes, its options by slot."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Mapping[int, Option] = field(default_factory=dict)


@dataclass
class Graph:
    """The main graph of a file."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def serialise(graph: Graph) -> bytes:
    """The bytes of a .tflite file, with one signature that names the inputs and outputs.

    Raises:
        ModelError: over 2 GB, where flatbuffers end.
        MissingExtraError: the package flatbuffers is not installed.
    """
    flatbuffers: Any = require("flatbuffers", extra="litert", purpose="Writing a TFLite network")
    size = sum(tensor.value.nbytes for tensor in graph.tensors if tensor.value is not None)
    if size > _LARGEST:
        raise ModelError(
            f"The network's weights are {size / 2**30:.1f} GB: TFLite files end at 2 GB.",
            hint="Store its weights as float16 or int8 first.",
        )
    return _Writer(flatbuffers.Builder(size + (1 << 16))).file(graph)


class _Writer:
    """Writes tables into one flatbuffer; each method gives the place of what it wrote."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def file(self, graph: Graph) -> bytes:
        buffers = [self._table({})]  # number 0 is the empty one, of tensors that are computed
        tensors = []
        for tensor in graph.tensors:
            number = 0
            if tensor.value is not None:
                buffers.append(self._buffer(tensor.value))
                number = len(buffers) - 1
            tensors.append(self._tensor(tensor, number))
        versions = [(operator.kind, version(operator, graph)) for operator in graph.operators]
        codes = list(dict.fromkeys(versions))
        operators = [
            self._operator(operator, codes.index(code))
            for operator, code in zip(graph.operators, versions, strict=True)
        ]
        main = self._table(
            {
                0: ("o", self._tables(tensors)),
                1: ("o", self._numbers(graph.inputs, "<i4")),
                2: ("o", self._numbers(graph.outputs, "<i4")),
                3: ("o", self._tables(operators)),
                4: ("o", self._out.CreateString("main")),
            }
        )
        root = self._table(
            {
                0: ("I", 3),
                1: ("o", self._tables([self._code(*code) for code in codes])),
                2: ("o", self._tables([main])),
                3: ("o", self._out.CreateString("edgeproof")),
                4: ("o", self._tables(buffers)),
                7: ("o", self._tables([self._signature(graph)])),
            }
        )
        self._out.Finish(root, file_identifier=b"TFL3")
        return bytes(self._out.Output())

    def _code(self, kind: str, revision: int) -> int:
        code = OPERATOR_NAMES.index(kind)
        return self._table({0: ("b", min(code, 127)), 2: ("i", revision), 3: ("i", code)})

    def _buffer(self, value: Array) -> int:
        data = np.ascontiguousarray(value).tobytes()
        out = self._out
        out.StartVector(1, len(data), _ALIGNMENT)
        out.head -= len(data)
        out.Bytes[out.head : out.head + len(data)] = data
        return self._table({0: ("o", out.EndVector())})

    def _tensor(self, tensor: Tensor, buffer: int) -> int:
        fields: dict[int, tuple[str, Any]] = {
            0: ("o", self._numbers(tensor.shape, "<i4")),
            1: ("b", TYPE_NAMES.index(KINDS[tensor.dtype])),
            2: ("I", buffer),
            3: ("o", self._out.CreateString(tensor.name)),
            8: ("b", 1),
        }
        if tensor.quantisation is not None:
            scale = self._numbers(tensor.quantisation.scale, "<f4")
            zero = self._numbers(tensor.quantisation.zero, "<i8")
            table = {2: ("o", scale), 3: ("o", zero), 6: ("i", tensor.quantisation.axis)}
            fields[4] = ("o", self._table(table))
        if tensor.signature:
            fields[7] = ("o", self._numbers(tensor.signature, "<i4"))
        return self._table(fields)

    def _operator(self, operator: Operator, code: int) -> int:
        fields: dict[int, tuple[str, Any]] = {
            0: ("I", code),
            1: ("o", self._numbers(operator.inputs, "<i4")),
            2: ("o", self._numbers(operator.outputs, "<i4")),
        }
        if operator.options:
            fields[4] = ("o", self._table(operator.options))
            fields[3] = ("b", _OPTIONS[operator.kind])
        return self._table(fields)

    def _signature(self, graph: Graph) -> int:
        maps = []
        for numbers in (graph.inputs, graph.outputs):
            named = [
                self._table({0: ("o", self._out.CreateString(graph.tensors[number].name)), 1: ("I", number)})
                for number in numbers
            ]
            maps.append(self._tables(named))
        key = self._out.CreateString("serving_default")
        return self._table({0: ("o", maps[0]), 1: ("o", maps[1]), 2: ("o", key), 4: ("I", 0)})

    def _table(self, fields: Mapping[int, tuple[str, Any]]) -> int:
        out = self._out
        out.StartObject(max(fields, default=0) + 1)
        for slot, (code, value) in fields.items():
            # The defaults here are values that never come, so that every field is written.
            match code:
                case "b":
                    out.PrependInt8Slot(slot, int(value), -128)
                case "i":
                    out.PrependInt32Slot(slot, int(value), -(2**31))
                case "I":
                    out.PrependUint32Slot(slot, int(value), 2**32 - 1)
                case "f":
                    out.PrependFloat32Slot(slot, float(value), -1e38)
                case _:
                    out.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(out.EndObject())

    def _tables(self, made: Sequence[int]) -> int:
        self._out.StartVector(4, len(made), 4)
        for place in reversed(made):
            self._out.PrependUOffsetTRelative(place)
        return int(self._out.EndVector())

    def _numbers(self, values: Any, dtype: str) -> int:
        return int(self._out.CreateNumpyVector(np.ascontiguousarray(values, dtype).ravel()))


# Which revision of an operator brought what is used here (tensorflow/lite/tools/versioning/op_version.cc);
# an int8 form mostly came with the second.
_INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    **dict.fromkeys(("HARD_SWISH", "QUANTIZE", "RELU_0_TO_1", "RESHAPE"), 1),
}
_MOST_AXES = 4


def version(operator: Operator, graph: Graph) -> int:
    """The lowest revision of an operator that has what is asked of it."""
    taken = [graph.tensors[number] for number in operator.inputs if number >= 0]
    made = graph.tensors[operator.outputs[0]]
    kind = operator.kind
    found = 1
    if "int8" in (taken[0].dtype, made.dtype):
        found = _INT8_VERSIONS.get(kind, 2)
    if kind == "DEQUANTIZE":
        found = 3 if taken[0].dtype == "float16" else found
        return 5 if taken[0].quantisation is not None and taken[0].quantisation.scale.size > 1 else found
    if kind == "BROADCAST_TO":
        return 2
    if kind == "CONV_2D" and taken[0].shape[3] != taken[1].shape[3]:
        return 6
    if kind == "DEPTHWISE_CONV_2D" and max(operator.options[5][1], operator.options[6][1]) > 1:
        found = max(found, 2)
    if kind == "FULLY_CONNECTED":
        found = 6 if len(taken) < 3 else max(found, 5 if operator.options[2][1] else 1)
    if kind == "TRANSPOSE_CONV" and len(taken) > 3:
        found = 3
    if kind.startswith("RESIZE") and any(value for _, value in operator.options.values()):
        found = 3
    if kind in ("TRANSPOSE", "STRIDED_SLICE", "PAD", "PADV2") and len(taken[0].shape) > _MOST_AXES:
        found = 4 if kind in ("TRANSPOSE", "STRIDED_SLICE") else max(found, 4 if kind == "PADV2" else 3)
    return found
