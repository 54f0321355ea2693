"""Writes small .tflite files with the flatbuffers builder (which onnxruntime brings along)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeproof.formats.tflite.names import OPERATOR_NAMES

_KINDS = {"f4": 0, "f2": 1, "i4": 2, "u1": 3, "i8": 4, "b1": 6, "i2": 7, "i1": 9}
# The member of the union BuiltinOptions for each operator that has options here (schema.fbs).
_OPTIONS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "MAX_POOL_2D": 5,
    "AVERAGE_POOL_2D": 5,
    "FULLY_CONNECTED": 8,
    "SOFTMAX": 9,
    "CONCATENATION": 10,
    "ADD": 11,
    "RESIZE_BILINEAR": 15,
    "LOCAL_RESPONSE_NORMALIZATION": 13,
    "RESHAPE": 17,
    "SPACE_TO_DEPTH": 19,
    "MUL": 21,
    "GATHER": 23,
    "MEAN": 27,
    "SUM": 27,
    "SUB": 28,
    "DIV": 29,
    "STRIDED_SLICE": 32,
    "SPLIT": 35,
    "TRANSPOSE_CONV": 49,
    "PACK": 59,
    "RESIZE_NEAREST_NEIGHBOR": 74,
    "LEAKY_RELU": 75,
    "MIRROR_PAD": 77,
    "DEPTH_TO_SPACE": 94,
    "BATCH_MATMUL": 101,
    "GELU": 116,
}


@dataclass(frozen=True)
class Entry:
    """A tensor: its value if it is stored; `scale` and `zero` quantise it."""

    shape: Sequence[int]
    dtype: str = "f4"
    value: Any = None
    scale: Sequence[float] = ()
    zero: Sequence[int] = ()
    axis: int = 0


def stored(value: Any, **quantisation: Any) -> Entry:
    """A stored tensor."""
    array = np.asarray(value)
    return Entry(array.shape, array.dtype.str[1:], array, **quantisation)


@dataclass(frozen=True)
class Step:
    """An operator; options by slot: ("i", 3) int32, ("b", 1) byte, ("f", .5) float32."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[int, tuple[str, Any]] | None = None


def write(
    tensors: Sequence[Entry], steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """The bytes of a file with these tensors and operators."""
    import flatbuffers

    out = flatbuffers.Builder(1024)

    def tables(made: Sequence[int]) -> int:
        out.StartVector(4, len(made), 4)
        for place in reversed(made):
            out.PrependUOffsetTRelative(place)
        return int(out.EndVector())

    def numbers(values: Any, dtype: str) -> int:
        return int(out.CreateNumpyVector(np.ascontiguousarray(values, dtype).ravel()))

    def table(fields: Mapping[int, tuple[str, Any]]) -> int:
        out.StartObject(max(fields, default=0) + 1)
        for slot, (code, value) in fields.items():
            {
                "b": lambda s, v: out.PrependInt8Slot(s, v, -128),
                "i": lambda s, v: out.PrependInt32Slot(s, v, -(2**31)),
                "I": lambda s, v: out.PrependUint32Slot(s, v, 2**32 - 1),
                "f": lambda s, v: out.PrependFloat32Slot(s, v, -1e38),
                "o": lambda s, v: out.PrependUOffsetTRelativeSlot(s, v, 0),
            }[code](slot, value)
        return int(out.EndObject())

    buffers, entries = [table({})], []
    for number, tensor in enumerate(tensors):
        fields: dict[int, tuple[str, Any]] = {
            0: ("o", numbers(tensor.shape, "<i4")),
            1: ("b", _KINDS[tensor.dtype]),
            3: ("o", out.CreateString(f"t{number}")),
        }
        if tensor.value is not None:
            data = np.frombuffer(np.ascontiguousarray(tensor.value).tobytes(), np.uint8)
            buffers.append(table({0: ("o", numbers(data, "u1"))}))
            fields[2] = ("I", len(buffers) - 1)
        if tensor.scale:
            scale, zero = numbers(tensor.scale, "<f4"), numbers(tensor.zero or [0] * len(tensor.scale), "<i8")
            fields[4] = ("o", table({2: ("o", scale), 3: ("o", zero), 6: ("i", tensor.axis)}))
        entries.append(table(fields))
    kinds = list(dict.fromkeys(step.kind for step in steps))
    codes = []
    for kind in kinds:
        code = OPERATOR_NAMES.index(kind)
        codes.append(
            table(
                {
                    0: ("b", min(code, 127)),
                    2: ("i", 2 if kind in ("FULLY_CONNECTED", "BROADCAST_TO") else 1),
                    3: ("i", code),
                }
            )
        )
    operators: list[int] = []
    for step in steps:
        if operators and step is steps[len(operators) - 1]:
            operators.append(operators[-1])  # the same object is written once and listed again
            continue
        fields = {
            0: ("I", kinds.index(step.kind)),
            1: ("o", numbers(step.inputs, "<i4")),
            2: ("o", numbers(step.outputs, "<i4")),
        }
        if step.options is not None:
            fields[4] = ("o", table(step.options))
            fields[3] = ("b", _OPTIONS[step.kind])
        operators.append(table(fields))
    graph = table(
        {
            0: ("o", tables(entries)),
            1: ("o", numbers(inputs, "<i4")),
            2: ("o", numbers(outputs, "<i4")),
            3: ("o", tables(operators)),
        }
    )
    root = table({0: ("I", 3), 1: ("o", tables(codes)), 2: ("o", tables([graph])), 4: ("o", tables(buffers))})
    out.Finish(root, file_identifier=b"TFL3")
    return bytes(out.Output())
