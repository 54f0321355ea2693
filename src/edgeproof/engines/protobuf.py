"""Messages of protocol buffers, read without any library (https://protobuf.dev/programming-guides/encoding)."""

from __future__ import annotations

from collections.abc import Iterator

_FIXED = {1: 8, 5: 4}  # wire types of a set size, and that size in bytes


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value: an int for varints, else its bytes; ValueError or IndexError where it is damaged."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield field, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if size > len(data) - at:
            raise ValueError("cut short")
        yield field, data[at : at + size]
        at += size


def messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """The values of a field that have a length: messages, texts, bytes."""
    for field, value in fields(data):
        if field == number and isinstance(value, memoryview):
            yield value


def message(data: memoryview, number: int) -> memoryview:
    """The first of them; LookupError where there is none."""
    found = next(messages(data, number), None)
    if found is None:
        raise LookupError(number)
    return found


def text(data: memoryview, number: int) -> str:
    """The first of them as text; empty where there is none."""
    return bytes(next(messages(data, number), b"")).decode()


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 10 bytes")
