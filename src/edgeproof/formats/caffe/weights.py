"""The weights of a .caffemodel: field numbers as in BVLC/caffe's caffe.proto."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats.wire import BYTES, FIXED32, FIXED64, VARINT, DamagedError, Field, fields, varint

# A protobuf message can't be larger. The others bound the Python objects that a few bytes can make.
_LARGEST = 2**31 - 1
_MAX_LAYERS = 20_000
_MAX_BLOBS = 16
_MAX_RANK = 32

_AGAIN = "Copy the file again and compare its size."


@dataclass(frozen=True)
class Weight:
    """One blob: its values, flat, and the shape it was stored with (`()` where none was)."""

    shape: tuple[int, ...]
    values: NDArray[np.floating]


def read_weights(path: Path) -> dict[str, list[Weight]]:
    """The blobs of each layer, by the layer's name; views of the file's bytes where these allow it.

    Raises:
        NotFoundError, StorageError: it can't be read.
        ModelError: empty, cut short, damaged, or no caffemodel.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise ModelError(f"{path} is over 2 GB, where protobuf files end.", hint=_AGAIN)
        data = path.read_bytes()
    except OSError as error:
        raise storage_error(path, error) from error
    if not data:
        raise ModelError(f"{path} is empty (0 bytes).", hint=_AGAIN)
    try:
        found = _layers(memoryview(data))
    except DamagedError as error:
        raise ModelError(
            f"{path} is no caffemodel, or cut short or damaged: {error}.", hint=_AGAIN
        ) from error
    if not found:
        raise ModelError(
            f"{path} holds no layers.",
            hint="A file of weights is needed, not a solver state or a mean image.",
        )
    return found


def _layers(data: memoryview) -> dict[str, list[Weight]]:
    found: dict[str, list[Weight]] = {}
    count = 0
    for entry in fields(data):
        if entry.kind != BYTES or entry.number not in (2, 100):
            continue
        count += 1
        if count > _MAX_LAYERS:
            raise DamagedError(f"more than {_MAX_LAYERS} layers")
        # 100: LayerParameter (name 1, blobs 7). 2: V1LayerParameter (name 4, blobs 6).
        name, blobs = _layer(entry.data, *((1, 7) if entry.number == 100 else (4, 6)))
        if blobs:
            found[name] = blobs
        else:
            found.setdefault(name, blobs)
    return found


def _layer(data: memoryview, name_field: int, blob_field: int) -> tuple[str, list[Weight]]:
    name = ""
    blobs: list[Weight] = []
    for entry in fields(data):
        if entry.kind != BYTES:
            continue
        if entry.number == name_field:
            name = bytes(entry.data[:1024]).decode(errors="replace")
        elif entry.number == blob_field:
            if len(blobs) == _MAX_BLOBS:
                raise DamagedError(f"layer {name!r} has more than {_MAX_BLOBS} blobs")
            blobs.append(_blob(entry.data, name))
    return name, blobs


def _blob(data: memoryview, layer: str) -> Weight:
    singles: list[memoryview] = []
    doubles: list[memoryview] = []
    loose = {5: bytearray(), 8: bytearray()}
    shape: tuple[int, ...] = ()
    legacy: dict[int, int] = {}
    for entry in fields(data):
        if entry.number in loose and entry.kind == BYTES:
            (singles if entry.number == 5 else doubles).append(entry.data)
        elif (entry.number, entry.kind) in ((5, FIXED32), (8, FIXED64)):
            loose[entry.number] += entry.data
        elif entry.number == 7 and entry.kind == BYTES:
            shape = _shape(entry.data)
        elif 1 <= entry.number <= 4 and entry.kind == VARINT:
            legacy[entry.number] = entry.value  # num, channels, height, width of files before 2014
    single = bool(singles or loose[5])
    width, parts, one = (4, singles, loose[5]) if single else (8, doubles, loose[8])
    raw = parts[0] if len(parts) == 1 and not one else b"".join([*parts, bytes(one)])
    if len(raw) % width:
        raise DamagedError(f"a blob of layer {layer!r} has {len(raw)} bytes, no whole number of values")
    values: NDArray[np.floating] = np.frombuffer(raw, np.float32 if single else np.float64)
    if legacy and not shape:
        shape = tuple(legacy.get(place, 0) for place in (1, 2, 3, 4))
    if shape and math.prod(shape) != values.size:
        raise DamagedError(f"a blob of layer {layer!r} has {values.size} values for the shape {list(shape)}")
    return Weight(shape, values)


def _shape(data: memoryview) -> tuple[int, ...]:
    sizes: list[int] = []
    for entry in fields(data):
        if entry.number == 1:
            sizes.extend(_numbers(entry))
        if len(sizes) > _MAX_RANK:
            raise DamagedError(f"a shape of more than {_MAX_RANK} sizes")
    return tuple(sizes)


def _numbers(entry: Field) -> list[int]:
    if entry.kind == VARINT:
        return [entry.value]
    numbers: list[int] = []
    at = 0
    while at < len(entry.data) and len(numbers) <= _MAX_RANK:
        value, at = varint(entry.data, at)
        numbers.append(value)
    return numbers
