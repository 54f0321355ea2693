"""The chunks of PNG (ISO/IEC 15948) and WebP (RFC 9649) files: their size and EXIF, without decoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from edgeproof.core.errors import TruncatedImageError

# A 64-megapixel PNG in the 8 kB pieces that libpng writes has some 25,000; this bounds a crafted file.
_MAX_CHUNKS = 200_000


class Chunk(NamedTuple):
    """One chunk: `data[start:end]` is its payload."""

    name: bytes
    start: int
    end: int


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """The whole chunks of a PNG file, in order."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        start = position + 8
        if start > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, position)
        position = start + length + 4
        if position > len(data):
            return
        yield Chunk(name, start, start + length)


def webp_chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a WebP file, in order; the last one may reach beyond the end of a truncated file."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        start = position + 8
        if start > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, position)
        position = start + length + length % 2
        yield Chunk(name, start, start + length)


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height in a PNG's header.

    Raises:
        TruncatedImageError: the header isn't whole.
    """
    first = next(png_chunks(data), None)
    if first is None or first.name != b"IHDR" or first.end - first.start != 13:
        raise _no_header("PNG")
    width, height = struct.unpack_from(">II", data, first.start)
    return int(width), int(height)


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in a WebP's header (RFC 9649, sections 2.5 to 2.7).

    Raises:
        TruncatedImageError: the header isn't whole.
    """
    first = next(webp_chunks(data), None)
    head = data[first.start : first.start + 10] if first else b""
    if first is None or len(head) < 5:
        raise _no_header("WebP")
    if first.name == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(head) == 10 and first.name == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if len(head) == 10 and first.name == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise _no_header("WebP")


def exif_block(data: bytes, chunks: Iterator[Chunk]) -> bytes:
    """The TIFF block of a file's EXIF chunk (eXIf or EXIF); empty where there is none."""
    for name, start, end in chunks:
        if name in (b"eXIf", b"EXIF"):
            return data[start:end].removeprefix(
                b"Exif\0\0"
            )  # written by some, although neither standard has it
    return b""


def _no_header(name: str) -> TruncatedImageError:
    return TruncatedImageError(
        f"The {name} file ends within its header, or is damaged there.",
        hint="Copy it again from where it came from.",
    )
