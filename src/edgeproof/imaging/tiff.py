"""The orientation tag in a TIFF block, which is how EXIF is stored (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgeproof.core.errors import ImageError

_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4
_ENTRY = 12


class _Ifd(NamedTuple):
    order: str  # of struct: "<" or ">"
    start: int  # of its first entry
    entries: int


def _first_ifd(block: bytes) -> _Ifd | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return None
    (offset,) = struct.unpack_from(order + "I", block, 4)
    if offset < 8 or offset + 2 > len(block):
        return None
    (count,) = struct.unpack_from(order + "H", block, offset)
    return _Ifd(order, offset + 2, count)


def _orientation_entry(block: bytes, ifd: _Ifd) -> int | None:
    """Where the first orientation entry starts."""
    for number in range(ifd.entries):
        entry = ifd.start + number * _ENTRY
        if entry + _ENTRY > len(block):
            return None
        if struct.unpack_from(ifd.order + "H", block, entry)[0] == _ORIENTATION:
            return entry
    return None


def _value_format(block: bytes, ifd: _Ifd, entry: int) -> str | None:
    """How struct reads the entry's value; None where the entry isn't one number."""
    kind, count = struct.unpack_from(ifd.order + "HI", block, entry + 2)
    formats = {_SHORT: ifd.order + "H", _LONG: ifd.order + "I"}
    return formats.get(kind) if count == 1 else None


def read_orientation(block: bytes) -> int:
    """The orientation, 1 to 8, that a TIFF block states; 1 where it states none or nonsense."""
    ifd = _first_ifd(block)
    entry = _orientation_entry(block, ifd) if ifd else None
    if ifd is None or entry is None:
        return 1
    form = _value_format(block, ifd, entry)
    value = int(struct.unpack_from(form, block, entry + 8)[0]) if form else 1
    return value if 1 <= value <= 8 else 1


def with_orientation(block: bytes, orientation: int) -> bytes:
    """The TIFF block with its orientation set; longer than before only where it had no orientation tag.

    Raises:
        ImageError: the block is damaged, so that changing it could lose what is in it.
    """
    ifd = _first_ifd(block)
    if ifd is None or ifd.start + ifd.entries * _ENTRY > len(block):
        raise _damaged()
    entry = _orientation_entry(block, ifd)
    if entry is None:
        return _with_new_ifd(block, ifd, orientation)
    form = _value_format(block, ifd, entry)
    if form is None:
        raise _damaged()
    patched = bytearray(block)
    struct.pack_into(form, patched, entry + 8, orientation)
    return bytes(patched)


def _with_new_ifd(block: bytes, ifd: _Ifd, orientation: int) -> bytes:
    # The new directory goes at the end and the old one stays where it was: nothing moves, so that every
    # offset in the block (thumbnail, GPS, and maker notes whose inner offsets no one can rewrite) holds.
    end = ifd.start + ifd.entries * _ENTRY
    if end + 4 > len(block) or ifd.entries == 0xFFFF:
        raise _damaged()
    entries = [block[at : at + _ENTRY] for at in range(ifd.start, end, _ENTRY)]
    entries.append(struct.pack(ifd.order + "HHIHH", _ORIENTATION, _SHORT, 1, orientation, 0))
    entries.sort(key=lambda entry: int(struct.unpack_from(ifd.order + "H", entry)[0]))
    padding = b"\0" * (len(block) % 2)  # a directory begins on a word boundary
    directory = struct.pack(ifd.order + "H", ifd.entries + 1) + b"".join(entries) + block[end : end + 4]
    header = block[:4] + struct.pack(ifd.order + "I", len(block) + len(padding))
    return header + block[8:] + padding + directory


def minimal_block(orientation: int) -> bytes:
    """A TIFF block that states an orientation and nothing else."""
    return _with_new_ifd(struct.pack(">2sHIHI", b"MM", 42, 8, 0, 0), _Ifd(">", 10, 0), orientation)


def _damaged() -> ImageError:
    return ImageError(
        "The EXIF data are damaged, so the orientation can't be written without risk to them.",
        hint="Repair them first, for example with: exiftool -all= -tagsfromfile @ -all:all -unsafe FILE",
    )
