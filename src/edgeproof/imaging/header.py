"""What a picture file says of itself before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edgeproof.core.errors import NotAnImageError
from edgeproof.imaging import chunks, jpeg, pillow, tiff
from edgeproof.imaging.exif import jpeg_orientation

MAX_PIXELS = 64_000_000

_MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",  # BigTIFF
    b"MM\0+": "tiff",
}
# Two letters are no proof, so the size of the header after them must be one that exists.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
# ISO/IEC 23008-12 (HEIF) and AVIF: the brands after "ftyp".
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"}
)


@dataclass(frozen=True)
class Header:
    """What a file's header says.

    Attributes:
        format: jpeg, png, webp, gif, bmp or tiff.
        width, height: pixels, as stored (before the EXIF orientation is applied).
        exif_orientation: 1 to 8; 1 where absent or nonsense.
        progressive: a progressive JPEG, which takes memory for all its coefficients to decode.
    """

    format: str
    width: int
    height: int
    exif_orientation: int = 1
    progressive: bool = False


def read_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Read the header of a picture file, by its magic bytes and whatever its name; decodes nothing.

    Arguments:
        data: the whole file.
        max_pixels: the most pixels (width x height) to accept.

    Raises:
        NotAnImageError: no format we know.
        TruncatedImageError: the file ends within its header, or is damaged there.
        ImageTooLargeError: the header asks for more than `max_pixels`.
    """
    name = _format(data)
    progressive = False
    match name:
        case "jpeg":
            head = jpeg.segments(data)
            frame = jpeg.read_frame(data, head)
            width, height, progressive = frame.width, frame.height, frame.progressive
            orientation = jpeg_orientation(data, head)
            if progressive:
                jpeg.check_scans(data, head)
        case "png":
            width, height = chunks.png_size(data)
            orientation = tiff.read_orientation(chunks.exif_block(data, chunks.png_chunks(data)))
        case "webp":
            width, height = chunks.webp_size(data)
            orientation = tiff.read_orientation(chunks.exif_block(data, chunks.webp_chunks(data)))
        case "tiff":
            width, height, orientation = _tiff_header(data, max_pixels)
        case _:
            # A GIF of any size is 13 bytes, so its size is checked before Pillow makes anything of it.
            if name == "gif" and len(data) >= 10:
                width, height = struct.unpack_from("<HH", data, 6)
                pillow.check_size(name, width, height, max_pixels)
            (width, height), orientation = pillow.open_lazily(data, name, max_pixels).size, 1
    pillow.check_size(name, width, height, max_pixels)
    return Header(name, width, height, orientation, progressive)


def _format(data: bytes) -> str:
    if not data:
        raise NotAnImageError(
            "The file is empty (0 bytes).", hint="Copy it again from where it came from, or leave it out."
        )
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        kind = "AVIF" if data[8:12] in (b"avif", b"avis") else "HEIC"
        raise NotAnImageError(
            f"It is a {kind} picture, which can't be read here.", hint="Convert it to JPEG first."
        )
    raise NotAnImageError(
        "It is not a picture of a known format.", hint="Known: JPEG, PNG, WebP, GIF, BMP, TIFF."
    )


def _tiff_header(data: bytes, max_pixels: int) -> tuple[int, int, int]:
    from PIL.TiffImagePlugin import TiffImageFile

    image = pillow.open_lazily(data, "tiff", max_pixels)
    assert isinstance(image, TiffImageFile)
    with pillow.typed_errors("tiff"):
        orientation = image.tag_v2.get(0x0112, 1)
        # From the tags: the plugin's own size is already that of the upright picture.
        width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
    known = isinstance(orientation, int) and 1 <= orientation <= 8
    return width, height, orientation if known else 1
