"""Small picture files made on the spot, for the tests beside this one."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def scene(width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth picture that differs from all its turns and mirrors: uint8 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / width, 255 * y / height
    blue = np.where((x < width / 2) & (y < height / 3), 220, 40)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, name: str, **options: Any) -> bytes:
    """The bytes of a file of that Pillow format."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def with_exif(name: str, orientation: int, **options: Any) -> bytes:
    """A file of the scene as stored, whose EXIF states the orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(scene(), name, exif=exif, **options)


def bomb(name: str) -> bytes:
    """A few bytes whose header claims a vast picture."""
    side = 100_000
    if name == "PNG":
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    if name == "BMP":
        info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info
    if name == "TIFF":
        tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (279, 1)]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4
    whole = bytearray(encode(scene(), name))
    if name == "JPEG":
        at = whole.index(b"\xff\xc0") + 5
        whole[at : at + 4] = b"\xff\xff\xff\xff"
    elif name == "GIF":
        whole[6:10] = b"\xff\xff\xff\xff"
    elif name == "WEBP":
        at = whole.index(b"\x9d\x01\x2a") + 3
        whole[at : at + 4] = b"\xff\x3f\xff\x3f"
    return bytes(whole)
