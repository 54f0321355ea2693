"""Protobuf without a schema: what is in a message, and no length believed beyond it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.formats.wire import BYTES, FIXED32, FIXED64, VARINT, DamagedError, fields, varint


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, kind: int, content: int | bytes) -> bytes:
    key = _number(number << 3 | kind)
    if isinstance(content, int):
        return key + _number(content)
    return key + (_number(len(content)) if kind == BYTES else b"") + content


FIELD = st.one_of(
    st.tuples(st.just(VARINT), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(FIXED64), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(BYTES), st.binary(max_size=300)),
    st.tuples(st.just(FIXED32), st.binary(min_size=4, max_size=4)),
)


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), FIELD), max_size=8))
def test_every_field_is_found_again(message: list[tuple[int, tuple[int, int | bytes]]]) -> None:
    data = b"".join(_field(number, kind, content) for number, (kind, content) in message)
    found = [
        (each.number, (each.kind, each.value if each.kind == VARINT else bytes(each.data)))
        for each in fields(memoryview(data))
    ]
    assert found == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_damaged(data: bytes) -> None:
    try:
        found = list(fields(memoryview(data)))
    except DamagedError:
        return
    assert sum(len(each.data) for each in found) <= len(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x0a\xff\xff\xff\xff\x07abc", "byte 0"),  # 2 GB in a message of 9 bytes
        (b"\x08\x01\x0a\x05abc", "byte 2"),
        (b"\x09" + bytes(7), "byte 0"),
        (b"\x00\x00", "number 0"),
        (b"\x0b", "byte 0"),
        (b"\x08", "cut short at byte 1"),
        (b"\x08" + b"\xff" * 10, "no end"),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, says: str) -> None:
    with pytest.raises(DamagedError, match=says):
        list(fields(memoryview(data)))


def test_a_number_ends_where_it_says() -> None:
    assert varint(memoryview(b"\x00\xac\x02\x01"), 1) == (300, 3)
