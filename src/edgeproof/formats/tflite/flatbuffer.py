"""Reading a flatbuffer that may be damaged: every offset and every length is checked against the file.

Layout: flatbuffers.dev/internals. Numbers are little-endian; a table begins with the signed distance back to its
vtable, which holds for each field its distance from the table, 0 where the field is absent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError

AGAIN = "Convert the network again, or copy the file again and compare its size."


@dataclass
class Reader:
    """The bytes of a file, and what may still be read from them.

    `allowance` bounds the elements read in all: a sound file has fewer elements than bytes, a crafted one can
    refer to the same bytes again and again.
    """

    name: str
    data: bytes
    allowance: int = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = len(self.data) + 65_536

    def broken(self, what: str, place: int) -> ModelError:
        """The error for a place in the file."""
        return ModelError(f"{self.name} is damaged or cut short: {what} at byte {place}.", hint=AGAIN)

    def number(self, code: str, place: int, what: str) -> Any:
        """One number of a `struct` code at a byte."""
        form = "<" + code
        if not 0 <= place <= len(self.data) - struct.calcsize(form):
            raise self.broken(f"{what} lies outside the file", place)
        return struct.unpack_from(form, self.data, place)[0]

    def spend(self, count: int, place: int, what: str) -> None:
        """Count elements that are read."""
        self.allowance -= count
        if self.allowance < 0:
            raise self.broken(f"{what} brings more elements than the file has bytes", place)

    def root(self) -> Table:
        """The table that the file begins with."""
        return Table(self, int(self.number("I", 0, "the root")), "the root")


@dataclass(frozen=True)
class Table:
    """One table: its fields by their slot, absent ones as the default."""

    reader: Reader
    start: int
    what: str
    _vtable: int = field(init=False)
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        reader = self.reader
        reader.spend(1, self.start, self.what)
        vtable = self.start - int(reader.number("i", self.start, self.what))
        size = int(reader.number("H", vtable, f"the field list of {self.what}"))
        if size < 4 or size % 2 or vtable + size > len(reader.data):
            raise reader.broken(f"the field list of {self.what} has the impossible length {size}", vtable)
        object.__setattr__(self, "_vtable", vtable)
        object.__setattr__(self, "_size", size)

    def _place(self, slot: int) -> int:
        entry = 4 + 2 * slot
        if entry + 2 > self._size:
            return 0
        distance = int(self.reader.number("H", self._vtable + entry, self.what))
        return self.start + distance if distance else 0

    def integer(self, slot: int, code: str, default: int = 0) -> int:
        """A whole number of a `struct` code (b, B, i, I, Q)."""
        place = self._place(slot)
        return int(self.reader.number(code, place, self.what)) if place else default

    def real(self, slot: int, default: float = 0.0) -> float:
        """A 32-bit floating-point number."""
        place = self._place(slot)
        return float(self.reader.number("f", place, self.what)) if place else default

    def flag(self, slot: int) -> bool:
        """A truth value; absent is false."""
        return bool(self.integer(slot, "B"))

    def _vector(self, slot: int, width: int) -> tuple[int, int]:
        place = self._place(slot)
        if not place:
            return 0, 0
        start = place + int(self.reader.number("I", place, self.what))
        count = int(self.reader.number("I", start, f"a list of {self.what}"))
        if count > (len(self.reader.data) - start - 4) // width:
            raise self.reader.broken(
                f"a list of {self.what} claims {count} elements, more than the file holds", start
            )
        return start + 4, count

    def array(self, slot: int, dtype: str) -> NDArray[Any]:
        """A vector of numbers, as a view of the file: nothing is copied."""
        start, count = self._vector(slot, np.dtype(dtype).itemsize)
        return np.frombuffer(self.reader.data, np.dtype(dtype).newbyteorder("<"), count, start)

    def integers(self, slot: int) -> tuple[int, ...]:
        """A vector of 32-bit whole numbers."""
        values = self.array(slot, "i4")
        self.reader.spend(values.size, self.start, self.what)
        return tuple(int(value) for value in values)

    def text(self, slot: int) -> str:
        """A string; bytes that are no UTF-8 become replacement characters."""
        values = self.array(slot, "u1")
        self.reader.spend(values.size, self.start, self.what)
        return values.tobytes().decode("utf-8", errors="replace")

    def table(self, slot: int, what: str) -> Table | None:
        """A table that this one refers to."""
        place = self._place(slot)
        if not place:
            return None
        return Table(self.reader, place + int(self.reader.number("I", place, self.what)), what)

    def tables(self, slot: int, what: str, most: int) -> list[Table]:
        """A vector of tables, `most` at the utmost; `what` names one of them."""
        start, count = self._vector(slot, 4)
        if count > most:
            raise self.reader.broken(f"{count} times {what}, over the limit of {most}", start)
        places = range(start, start + 4 * count, 4)
        return [
            Table(self.reader, place + int(self.reader.number("I", place, what)), f"{what} {number}")
            for number, place in enumerate(places)
        ]
