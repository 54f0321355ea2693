"""HDF5 files as Keras writes them: named groups, attributes and plain arrays, read from one block of bytes.

Source: HDF5 File Format Specification, version 3.0 (support.hdfgroup.org/documentation/hdf5). Only what h5py writes
by default is read. The forms that can make a reader open other files (external links, external storage, virtual
datasets) are refused where they stand, and a size is believed only as far as the bytes go: arrays are views of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array

SIGNATURE = b"\x89HDF\r\n\x1a\n"
AGAIN = "Save the network again, or copy the file again and compare its size."
_REWRITE = "Save it again in Keras, or rewrite it with HDF5's own `h5repack -f NONE -l CONTI OLD.h5 NEW.h5`."
_NOWHERE = 0xFFFFFFFFFFFFFFFF
_MAX_RANK = 32
# What few bytes may make us do, as entries may be named again and again: steps for a whole file, in all.
_MOST_STEPS, _FEWEST_STEPS, _BYTES_A_STEP = 1 << 20, 10_000, 16
_SPACE, _LINKS, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE = 1, 2, 3, 6, 7, 8, 11, 12
_CONTINUED, _TABLE, _DENSE_ATTRIBUTES = 16, 17, 21
_SHARED = 2
_KINDS = {(2, 10, 5): "f2", (4, 23, 8): "f4", (8, 52, 11): "f8"}  # size, bits of mantissa, of exponent

Value = Array | str | list[str]


@dataclass(frozen=True)
class _Type:
    """How an element is stored: a numpy dtype, or "text" in the global heap."""

    size: int
    dtype: str
    text: bool = False


class HDF5:
    """A file's objects by the address of their header; `root` is the group that all paths start from.

    Arguments:
        data: the whole file.
        name: what errors call it.

    Raises:
        ModelError: it is no HDF5 file, damaged, or of a form that isn't read. So do all methods.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = memoryview(data), name
        self._groups: dict[int, dict[str, int]] = {}
        self._texts: dict[int, dict[int, tuple[int, int]]] = {}
        self._steps = min(len(data) // _BYTES_A_STEP + _FEWEST_STEPS, _MOST_STEPS)
        self._room = len(data)
        if data[:8] != SIGNATURE:
            raise ModelError(f"{name} is no HDF5 file: it doesn't begin with its mark.", hint=AGAIN)
        version = self._number(8, 1)
        if version in (0, 1):
            widths, base, place = 13, 24 + 4 * version, 64 + 4 * version
        elif version in (2, 3):
            widths, base, place = 9, 12, 36
        else:
            raise self.damaged(f"has version {version} of the format", 8)
        if (self._number(widths, 1), self._number(widths + 1, 1), self._number(base, 8)) != (8, 8, 0):
            raise self.damaged("has addresses that are not of 64 bits from its start", widths)
        self.root = self._number(place, 8)

    def damaged(self, what: str, at: int, hint: str = AGAIN) -> ModelError:
        """The error for something that can't be read at a byte."""
        return ModelError(f"{self._name} {what} (byte {at}).", hint=hint)

    def _bytes(self, at: int, count: int) -> memoryview:
        if at < 0 or count < 0 or at + count > len(self._data):
            raise ModelError(
                f"{self._name} is damaged or cut short: {count} bytes at {at} lie outside its {len(self._data)}.",
                hint=AGAIN,
            )
        return self._data[at : at + count]

    def _mark(self, at: int) -> bytes:
        return bytes(self._bytes(at, 4))

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self._bytes(at, width), "little")

    # Objects and their messages

    def _messages(self, header: int) -> Iterator[tuple[int, int, memoryview]]:
        """Kind, place and bytes of each message of an object (section IV.A)."""
        if self._mark(header) == b"OHDR":
            yield from self._messages_2(header)
            return
        if self._number(header, 1) != 1:
            raise self.damaged("has no object where one should be", header)
        blocks, seen, count = [(header + 16, self._number(header + 8, 4))], 0, self._number(header + 2, 2)
        while blocks and seen < count:
            at, size = blocks.pop(0)
            end = at + len(self._bytes(at, size))
            while at + 8 <= end and seen < count:
                seen += 1
                self._step(header)
                kind, width, flags = struct.unpack("<HHB", self._bytes(at, 5))
                content = self._content(kind, flags, at, at + 8, width)
                at += 8 + width
                if kind == _CONTINUED:
                    blocks.append(self._block(content, at))
                else:
                    yield kind, at - width, content

    def _messages_2(self, header: int) -> Iterator[tuple[int, int, memoryview]]:
        flags = self._number(header + 5, 1)
        at = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        prefix = 6 if flags & 4 else 4
        blocks = [(at + width, self._number(at, width))]
        while blocks:
            at, size = blocks.pop(0)
            end = at + len(self._bytes(at, size))
            while at + prefix <= end:
                self._step(header)
                kind, length, kinds = struct.unpack("<BHB", self._bytes(at, 4))
                content = self._content(kind, kinds, at, at + prefix, length)
                at += prefix + length
                if kind == _CONTINUED:
                    place, length = self._block(content, at)
                    if self._mark(place) != b"OCHK" or length < 8:
                        raise self.damaged("has an object that goes on nowhere", place)
                    blocks.append((place + 4, length - 8))
                else:
                    yield kind, at - length, content

    def _content(self, kind: int, flags: int, at: int, start: int, width: int) -> memoryview:
        if flags & _SHARED and kind in (_SPACE, _TYPE, _LAYOUT, _ATTRIBUTE, _FILTERS):
            raise self.damaged("keeps the description of an array in another object", at, _REWRITE)
        return self._bytes(start, width)

    def _block(self, content: memoryview, at: int) -> tuple[int, int]:
        if len(content) < 16:
            raise self.damaged("has an object that goes on nowhere", at)
        return struct.unpack("<QQ", content[:16])

    def _step(self, at: int) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise self.damaged("names more objects than its size has room for", at)

    # Groups

    def find(self, group: int, path: str) -> int | None:
        """The header of the object at `path` from a group; None where there is none."""
        for part in path.split("/"):
            if part:
                found = self.members(group).get(part)
                if found is None:
                    return None
                group = found
        return group

    def members(self, group: int) -> dict[str, int]:
        """The headers of a group's members by name; soft links are left out."""
        if group not in self._groups:
            self._groups[group] = self._members(group)
        return self._groups[group]

    def _members(self, group: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for kind, at, content in self._messages(group):
            if kind == _TABLE and len(content) >= 16:
                tree, heap = struct.unpack("<QQ", content[:16])
                found.update(self._table(tree, heap))
            elif kind == _LINKS and len(content) >= 2:
                place = 10 if content[1] & 1 else 2
                if int.from_bytes(content[place : place + 8], "little") != _NOWHERE:
                    raise self.damaged("keeps its names in a form that isn't read", at, _REWRITE)
            elif kind == _LINK:
                found.update(self._link(content, at))
        return found

    def _table(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        if self._mark(heap) != b"HEAP":
            raise self.damaged("has a group without names", heap)
        names = self._bytes(self._number(heap + 24, 8), self._number(heap + 8, 8))
        nodes, seen = [tree], {tree}
        while nodes:
            at = nodes.pop()
            mark = self._mark(at)
            entries = self._number(at + 6, 2)
            if mark == b"TREE":
                for entry in range(entries):
                    self._step(at)
                    child = self._number(at + 32 + 16 * entry, 8)
                    if child in seen:
                        raise self.damaged("has a group that holds itself", at)
                    seen.add(child)
                    nodes.append(child)
            elif mark == b"SNOD":
                for entry in range(entries):
                    self._step(at)
                    name, header, cache = struct.unpack("<QQI", self._bytes(at + 8 + 40 * entry, 20))
                    if cache != 2:  # 2: a soft link
                        yield self._text(names, name, at), header
            else:
                raise self.damaged("has a group that can't be read", at)

    def _text(self, names: memoryview, start: int, at: int) -> str:
        piece = bytes(names[start : start + 4096])
        end = piece.find(b"\0")
        if end < 0:
            raise self.damaged("has a name without an end", at)
        return piece[:end].decode("utf-8", errors="replace")

    def _link(self, content: memoryview, at: int) -> Iterator[tuple[str, int]]:
        if len(content) < 2:
            raise self.damaged("has a link that is cut short", at)
        flags, place = content[1], 2
        kind = 0
        if flags & 8:
            kind = content[2] if len(content) > 2 else 0
            place += 1
        place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(content[place : place + width], "little")
        place += width
        if place + length + 8 > len(content) and kind == 0:
            raise self.damaged("has a link that is cut short", at)
        if kind >= 64:
            raise self.damaged(
                "has a link to another file, which could be any of yours and isn't followed",
                at,
                "Save the network again as one file.",
            )
        if kind == 0:
            name = bytes(content[place : place + length]).decode("utf-8", errors="replace")
            yield name, int.from_bytes(content[place + length : place + length + 8], "little")

    # Values

    def array(self, header: int) -> Array:
        """The numbers of a dataset, a view of the file's bytes."""
        kind: _Type | None = None
        shape: tuple[int, ...] | None = None
        raw: memoryview | None = None
        for message, at, content in self._messages(header):
            if message == _SPACE:
                shape = self._shape(content, at)
            elif message == _TYPE:
                kind = self._type(content, at)
            elif message == _EXTERNAL:
                raise self.damaged(
                    "keeps an array in another file, which could be any of yours and isn't opened",
                    at,
                    "Save the network again as one file.",
                )
            elif message == _FILTERS and len(content) > 1 and content[1]:
                raise self.damaged("keeps an array compressed, which isn't read", at, _REWRITE)
            elif message == _LAYOUT:
                raw = self._layout(content, at)
        if kind is None or shape is None or raw is None or kind.text:
            raise self.damaged("has no array of numbers where one should be", header)
        size = math.prod(shape) * kind.size
        if size > len(raw):
            raise self.damaged(f"has an array of shape {list(shape)} in {len(raw)} bytes", header)
        return np.frombuffer(raw[:size], np.dtype(kind.dtype)).reshape(shape)

    def _layout(self, content: memoryview, at: int) -> memoryview:
        version, kind = (content[0], content[1]) if len(content) >= 2 else (0, 0)
        if version == 4 and kind == 3:
            raise self.damaged(
                "has a virtual array, made of other files, which could be any of yours and aren't opened",
                at,
                "Save the network again as one file.",
            )
        if version not in (3, 4) or kind not in (0, 1):
            raise self.damaged("keeps an array in pieces (chunks), which isn't read", at, _REWRITE)
        if kind == 0 and len(content) >= 4:
            return content[4 : 4 + int.from_bytes(content[2:4], "little")]
        if kind == 1 and len(content) >= 18:
            place, size = struct.unpack("<QQ", content[2:18])
            return self._bytes(place, size) if place != _NOWHERE else content[:0]
        raise self.damaged("has the place of an array cut short", at)

    def _shape(self, content: memoryview, at: int) -> tuple[int, ...]:
        version, rank = (content[0], content[1]) if len(content) >= 4 else (0, 0)
        start = {1: 8, 2: 4}.get(version)
        if start is None or rank > _MAX_RANK or start + 8 * rank > len(content):
            raise self.damaged("has an array whose shape can't be read", at)
        if version == 2 and content[3] == 2:  # a null dataspace holds nothing
            return (0,)
        return tuple(int(size) for size in struct.unpack(f"<{rank}Q", content[start : start + 8 * rank]))

    def _type(self, content: memoryview, at: int) -> _Type:
        if len(content) < 8:
            raise self.damaged("has an array whose type is cut short", at)
        kind, bits, size = content[0] & 15, content[1], int.from_bytes(content[4:8], "little")
        end = ">" if bits & 1 else "<"
        if kind == 0 and size in (1, 2, 4, 8):
            return _Type(size, f"{end}{'i' if bits & 8 else 'u'}{size}")
        if kind == 1 and len(content) >= 18 and (found := _KINDS.get((size, content[15], content[13]))):
            return _Type(size, end + found)
        if kind == 3 and 0 < size <= len(self._data):
            return _Type(size, f"S{size}")
        if kind == 9 and bits & 15 == 1 and size == 16:
            return _Type(size, "V16", text=True)
        raise self.damaged(f"has values of a type that isn't read (class {kind}, {size} bytes)", at)

    def attributes(self, header: int) -> dict[str, Value]:
        """An object's attributes by name: text as str, several texts as a list, numbers as an array."""
        found: dict[str, Value] = {}
        for kind, at, content in self._messages(header):
            if kind == _ATTRIBUTE:
                found.update([self._attribute(content, at)])
            elif kind == _DENSE_ATTRIBUTES and len(content) >= 2:
                place = 4 if content[1] & 1 else 2
                if int.from_bytes(content[place : place + 8], "little") != _NOWHERE:
                    raise self.damaged("keeps its attributes in a form that isn't read", at, _REWRITE)
        return found

    def _attribute(self, content: memoryview, at: int) -> tuple[str, Value]:
        version = content[0] if len(content) >= 8 else 0
        if version not in (1, 2, 3) or (version > 1 and content[1]):
            raise self.damaged("has an attribute that can't be read", at)
        place = 9 if version == 3 else 8
        parts = []
        for size in struct.unpack("<HHH", content[2:8]):
            if place + size > len(content):
                raise self.damaged("has an attribute that is cut short", at)
            parts.append(content[place : place + size])
            place += -(-size // 8) * 8 if version == 1 else size
        name = bytes(parts[0]).split(b"\0")[0].decode("utf-8", errors="replace")
        kind, shape = self._type(parts[1], at), self._shape(parts[2], at)
        raw = content[place:]
        size = math.prod(shape) * kind.size
        if size > len(raw):
            raise self.damaged(f"has an attribute of shape {list(shape)} in {len(raw)} bytes", at)
        if kind.text:
            texts = [self._heap_text(raw[start : start + 16], at) for start in range(0, size, 16)]
            return name, texts if shape else texts[0]
        values = np.frombuffer(raw[:size], np.dtype(kind.dtype)).reshape(shape)
        if values.dtype.kind != "S":
            return name, values
        texts = [bytes(value).decode("utf-8", errors="replace") for value in values.ravel()]
        return name, texts if shape else texts[0]

    def _heap_text(self, reference: memoryview, at: int) -> str:
        """A text of any length in the global heap (section III.E)."""
        length, heap, wanted = struct.unpack("<IQI", reference)
        if not wanted:
            return ""
        if heap not in self._texts:
            self._texts[heap] = dict(self._heap(heap, at))
        place, size = self._texts[heap].get(wanted, (-1, 0))
        size = min(size, length)
        self._room -= size
        if place < 0 or self._room < 0:
            raise self.damaged("has a text that is nowhere", at)
        return bytes(self._bytes(place, size)).decode("utf-8", errors="replace")

    def _heap(self, heap: int, at: int) -> Iterator[tuple[int, tuple[int, int]]]:
        if self._mark(heap) != b"GCOL":
            raise self.damaged("has a text that is nowhere", at)
        place, end = heap + 16, heap + len(self._bytes(heap, self._number(heap + 8, 8)))
        while place + 16 <= end:
            self._step(at)
            number, size = self._number(place, 2), self._number(place + 8, 8)
            if number == 0:  # the room that is left
                break
            yield number, (place + 16, size)
            place += 16 + -(-size // 8) * 8
