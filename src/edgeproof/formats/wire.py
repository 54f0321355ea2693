"""The binary form of protobuf, read without a schema (protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTH = {FIXED64: 8, FIXED32: 4}


class DamagedError(ValueError):
    """The bytes are no protobuf message; whoever reads it gives it the file's name."""


@dataclass(frozen=True)
class Field:
    """One field: `value` is the number of a varint, and `data` a view of the bytes of all others."""

    number: int
    kind: int
    at: int
    value: int = 0
    data: memoryview = field(default_factory=lambda: memoryview(b""))


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where it ends.

    Raises:
        DamagedError: it runs past the end, or over the 10 bytes that 64 bits need.
    """
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise DamagedError(f"a number is cut short at byte {at}")
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise DamagedError(f"a number at byte {at} has no end")


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message, one by one; nothing is copied, and no length is believed beyond the data.

    Raises:
        DamagedError: a field is cut short, longer than what is left, or of a kind that is not in use.
    """
    at = 0
    while at < len(data):
        start = at
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise DamagedError(f"a field at byte {start} has the number 0")
        if kind == VARINT:
            value, at = varint(data, at)
            yield Field(number, kind, start, value=value)
            continue
        if kind == BYTES:
            length, at = varint(data, at)
        elif kind in _WIDTH:
            length = _WIDTH[kind]
        else:
            raise DamagedError(f"a field at byte {start} is of kind {kind}")
        if length > len(data) - at:
            raise DamagedError(
                f"a field at byte {start} claims {length} bytes where {len(data) - at} are left"
            )
        yield Field(number, kind, start, data=data[at : at + length])
        at += length
