"""Upright copies of picture files, without loss."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import ImageError
from edgeproof.imaging import chunks, exif, pillow, tiff
from edgeproof.imaging.header import MAX_PIXELS, Header, read_header

if TYPE_CHECKING:
    import PIL.Image

# PNG chunks about colour and text, which hold whatever way the picture stands.
_PNG_KEPT = frozenset(
    {b"cHRM", b"cICP", b"gAMA", b"sBIT", b"sRGB", b"tIME", b"iTXt", b"tEXt", b"zTXt", b"sPLT"}
)
# TIFF 6.0 and EXIF: ImageDescription, Make, Model, Software, DateTime, Artist, XMP, Copyright, IPTC.
_TIFF_KEPT = (270, 271, 272, 305, 306, 315, 700, 33432, 33723)
_TIFF_LOSSLESS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "group3", "group4"})
# XMP may state an orientation of its own, which would no longer be true.
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")


def turned_copy(data: bytes, turn: int, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """An upright copy of a picture file, in the same format and with the same pixels.

    A JPEG gets another EXIF orientation and keeps every pixel as it is encoded; the others are decoded,
    turned and saved losslessly, with their colour profile, resolution and EXIF, and checked afterwards.

    Arguments:
        data: the picture file.
        turn: degrees clockwise, 0, 90, 180 or 270, by which to turn what a viewer shows of it.
        max_pixels: the most pixels that the file's header may ask for.

    Raises:
        NotAnImageError, TruncatedImageError, ImageTooLargeError: it can't be read.
        ImageError: it can't be turned without losing something.
        InputError: no such turn.
    """
    header = read_header(data, max_pixels=max_pixels)
    orientation = exif.compose(header.exif_orientation, turn)
    if header.format == "jpeg":
        return exif.jpeg_with_orientation(data, orientation)
    if header.exif_orientation == 1 and turn == 0:
        return data
    image = pillow.open_lazily(data, header.format, max_pixels)
    with pillow.typed_errors(header.format):
        _check_kept(data, header, image)
        image.load()
        # Pillow has applied a TIFF's own orientation while loading it.
        turned = _transposed(image, exif.compose(1, turn) if header.format == "tiff" else orientation)
        sideways = exif.STEPS[orientation][1] in (90, 270)
        options = {"png": _png, "webp": _webp, "tiff": _tiff}.get(header.format, _plain)(
            data, image, sideways
        )
    return _checked(_saved(turned, header, options), header, turned)


def _saved(image: PIL.Image.Image, header: Header, options: dict[str, Any]) -> bytes:
    copy = io.BytesIO()
    try:
        image.save(copy, header.format.upper(), **options)
    except Exception as error:  # as when reading, the plugins raise nearly anything
        raise _unturned(header, str(error)) from error
    return copy.getvalue()


def _check_kept(data: bytes, header: Header, image: PIL.Image.Image) -> None:
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError(
            f"The {header.format} file has several pictures (an animation, or pages).",
            hint="Save them one by one first; this file was left as it is.",
        )
    stored = 8
    if header.format == "png":
        stored = data[24]  # IHDR
    elif header.format == "tiff":
        stored = max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]
    held = 16 if image.mode.startswith("I;16") else 32 if image.mode in ("I", "F") else 8
    if header.format == "png" and image.mode == "I":  # 16-bit grey, before Pillow 11
        held = 16
    if stored != held and not (stored < 8 and held == 8):
        raise ImageError(
            f"The {header.format} file has {stored} bits per sample, which would be lost by turning it here.",
            hint="Turn it with the program that made it; this file was left as it is.",
        )


def _transposed(image: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    from PIL.Image import Transpose

    mirror, turn = exif.STEPS[orientation]
    if mirror:
        image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
    # Pillow counts anticlockwise.
    method = {90: Transpose.ROTATE_270, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_90}.get(turn)
    return image.copy() if method is None else image.transpose(method)


def _plain(_data: bytes, image: PIL.Image.Image, sideways: bool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "dpi" in image.info:
        options["dpi"] = tuple(image.info["dpi"])[:: -1 if sideways else 1]
    if "transparency" in image.info:
        options["transparency"] = image.info["transparency"]
    return options


def _with_profile(image: PIL.Image.Image, options: dict[str, Any]) -> dict[str, Any]:
    if image.info.get("icc_profile"):
        options["icc_profile"] = image.info["icc_profile"]
    return options


def _upright_exif(block: bytes) -> dict[str, Any]:
    upright = block if tiff.read_orientation(block) == 1 else tiff.with_orientation(block, 1)
    return {"exif": upright} if upright else {}


def _png(data: bytes, image: PIL.Image.Image, sideways: bool) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    kept = PngInfo()
    for name, start, end in chunks.png_chunks(data):
        if name in _PNG_KEPT:
            kept.add(name, _XMP_ORIENTATION.sub(rb"\g<1>1", data[start:end]))
    options = _with_profile(image, _plain(data, image, sideways))
    return {**options, **_upright_exif(chunks.exif_block(data, chunks.png_chunks(data))), "pnginfo": kept}


def _webp(data: bytes, image: PIL.Image.Image, _sideways: bool) -> dict[str, Any]:
    options = _with_profile(image, _upright_exif(chunks.exif_block(data, chunks.webp_chunks(data))))
    if image.info.get("xmp"):
        options["xmp"] = _XMP_ORIENTATION.sub(rb"\g<1>1", image.info["xmp"])
    return {**options, "lossless": True, "exact": True}  # exact: keep the colours under transparent parts


def _tiff(data: bytes, image: PIL.Image.Image, sideways: bool) -> dict[str, Any]:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = image.tag_v2  # type: ignore[attr-defined]
    kept = ImageFileDirectory_v2()
    for tag in _TIFF_KEPT:
        if tag in tags:
            kept.tagtype[tag] = tags.tagtype[tag]
            kept[tag] = tags[tag]
    if 700 in kept:
        kept[700] = _XMP_ORIENTATION.sub(rb"\g<1>1", kept[700])
    for pointer in (0x8769, 0x8825):  # EXIF, GPS
        if inner := image.getexif().get_ifd(pointer):
            kept[pointer] = dict(inner)
    compression = image.info.get("compression")
    if compression not in _TIFF_LOSSLESS:
        compression = "tiff_adobe_deflate"
    if 0x8769 in kept or 0x8825 in kept:
        compression = "raw"  # libtiff, which compresses, can't write these directories; Pillow alone can
    return {
        **_with_profile(image, _plain(data, image, sideways)),
        "tiffinfo": kept,
        "compression": compression,
    }


def _checked(copy: bytes, header: Header, wanted: PIL.Image.Image) -> bytes:
    written = pillow.open_lazily(copy, header.format, wanted.width * wanted.height)
    with pillow.typed_errors(header.format):
        written.load()
        if read_header(copy).exif_orientation == 1 and _same(written, wanted):
            return copy
    raise _unturned(header, "the pixels would not be the same")


def _unturned(header: Header, reason: str) -> ImageError:
    return ImageError(
        f"The {header.format} file can't be turned without loss ({reason}).",
        hint="Turn it with the program that made it; this file was left as it is.",
    )


def _same(one: PIL.Image.Image, other: PIL.Image.Image) -> bool:
    if one.size != other.size:
        return False
    if one.mode == other.mode and one.mode != "P":
        return one.tobytes() == other.tobytes() and one.info.get("transparency") == other.info.get(
            "transparency"
        )
    deep = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
    if one.mode in deep or other.mode in deep:
        return one.convert("I").tobytes() == other.convert("I").tobytes()
    return one.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()
