"""From a file, bytes, a PIL image or an array to upright RGB pixels, no larger than what is needed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.imaging import exif, jpeg, pillow
from edgeproof.imaging.header import MAX_PIXELS, Header, read_header
from edgeproof.imaging.read import read_file
from edgeproof.imaging.rgb import to_rgb

if TYPE_CHECKING:
    from typing import TypeAlias

    import PIL.Image

    Source: TypeAlias = str | os.PathLike[str] | bytes | PIL.Image.Image | NDArray[np.uint8]

# What libjpeg says of data that are missing or wrong. Anything else that it reports (a few stray bytes
# between segments, an odd header of an application) leaves the picture whole, and Pillow reads it.
_DAMAGE = ("premature end", "bad huffman", "instead of rst", "bad arithmetic")
_NO_EOI = "premature end of jpeg file"

# libjpeg's smallest scale is 1/8; the other formats are reduced by as much, so that the two act alike.
_MAX_REDUCTION = 8


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, upright, contiguous; reduced where `cover` allowed it.
        width, height: pixels of the full-size upright picture.
        exif_orientation: 1 to 8, what was applied to the stored pixels to put them upright.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    exif_orientation: int


def decode(
    source: Source,
    *,
    cover: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Decode a picture to upright RGB pixels.

    Arguments:
        source: a path, an encoded file's bytes, a PIL image (its EXIF orientation is applied), or an array
            uint8 (H, W, 3) RGB, taken as upright.
        cover: pixels that the short side must still have: the picture is decoded at the smallest scale
            (1/2, 1/4 or 1/8 for JPEG, 1/n for the others, at least 1/8) that keeps it. None: full size.
        max_pixels: the most pixels that a file's header may ask for.

    Raises:
        NotAnImageError, TruncatedImageError, ImageTooLargeError: the picture can't be used.
        InputError: a source of another kind, or an array of another shape or dtype.
        NotFoundError, StorageError: the file isn't there or can't be read.
    """
    if cover is not None and cover < 1:
        raise InputError(f"cover is {cover}.", hint="Expected a number of pixels of 1 or more, or None.")
    if isinstance(source, str | os.PathLike):
        return _decode_bytes(read_file(source), cover, max_pixels)
    if isinstance(source, bytes):
        return _decode_bytes(source, cover, max_pixels)
    if isinstance(source, np.ndarray):
        check_pixels(source)
        return Picture(np.ascontiguousarray(source), source.shape[1], source.shape[0], 1)
    if _is_pil(source):
        return _decode_pil(source, cover, max_pixels)
    raise InputError(
        f"A picture can't be read from a {type(source).__name__}.",
        hint="Expected a path, bytes, a PIL image or an array uint8 (H, W, 3) RGB.",
    )


def check_pixels(pixels: NDArray[Any]) -> None:
    """Check that an array is a picture: uint8 (H, W, 3), not empty.

    Raises:
        InputError: naming what was expected and what came.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise InputError(
            f"The array is {pixels.dtype} {list(pixels.shape)}.",
            hint="Expected uint8 (H, W, 3), RGB; for grey: numpy.stack([grey] * 3, axis=-1).",
        )


def _is_pil(source: object) -> bool:
    # A PIL image can't exist before its module was imported: importing it here would be for nothing.
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(source, module.Image)


def _decode_bytes(data: bytes, cover: int | None, max_pixels: int) -> Picture:
    header = read_header(data, max_pixels=max_pixels)
    if header.format != "jpeg":
        return _decode_other(data, header, cover, max_pixels)
    return _picture(
        _decode_jpeg(data, header, cover, max_pixels), (header.width, header.height), header.exif_orientation
    )


def _picture(stored: NDArray[np.uint8], size: tuple[int, int], orientation: int) -> Picture:
    width, height = reversed(size) if orientation >= 5 else size
    return Picture(exif.apply(stored, orientation), width, height, orientation)


def _decode_jpeg(data: bytes, header: Header, cover: int | None, max_pixels: int) -> NDArray[np.uint8]:
    import simplejpeg

    head = jpeg.segments(data)
    if jpeg.read_frame(data, head).components == 4:
        # Only Pillow knows that Adobe's CMYK files are stored inverted.
        return _decode_jpeg_with_pillow(data, cover, max_pixels)
    least = _reduced_side(min(header.width, header.height), cover)
    with pillow.typed_errors("jpeg"):
        try:
            return np.asarray(simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least))
        except ValueError as error:
            reason = str(error).lower()
            if not any(words in reason for words in _DAMAGE):
                return _decode_jpeg_with_pillow(data, cover, max_pixels)
            if _NO_EOI not in reason or not jpeg.is_one_scan(data, head):
                raise
        # Some cameras leave out the end marker: if nothing else is missing, the rest decodes strictly.
        whole = data + b"\xff\xd9"
        return np.asarray(simplejpeg.decode_jpeg(whole, "RGB", min_height=least, min_width=least))


def _reduced_side(side: int, cover: int | None) -> int:
    """What is left of the short side at the smallest scale that keeps `cover` pixels of it; 0 for full size.

    Only 1/2, 1/4 and 1/8, although libjpeg has every eighth: the others are not vectorised in libjpeg-turbo,
    and 5/8 takes half as long again as the whole picture.
    """
    reductions = (-(-side // factor) for factor in (8, 4, 2)) if cover else ()
    return next((left for left in reductions if left >= (cover or 0)), 0)


def _decode_jpeg_with_pillow(data: bytes, cover: int | None, max_pixels: int) -> NDArray[np.uint8]:
    image = pillow.open_lazily(data, "jpeg", max_pixels)
    with pillow.typed_errors("jpeg"):
        if cover is not None:
            image.draft(None, (cover, cover))
        return np.asarray(to_rgb(image))


def _decode_other(data: bytes, header: Header, cover: int | None, max_pixels: int) -> Picture:
    image = pillow.open_lazily(data, header.format, max_pixels)
    with pillow.typed_errors(header.format):
        image.load()
        size = image.size
        pixels = np.asarray(_reduced(to_rgb(image), cover))
    if header.format == "tiff":  # while loading it Pillow has applied the orientation itself
        return Picture(pixels, *size, header.exif_orientation)
    return _picture(pixels, size, header.exif_orientation)


def _reduced(image: PIL.Image.Image, cover: int | None) -> PIL.Image.Image:
    factor = min(_MAX_REDUCTION, min(image.size) // cover) if cover else 1
    return image.reduce(factor) if factor > 1 else image


def _decode_pil(image: PIL.Image.Image, cover: int | None, max_pixels: int) -> Picture:
    pillow.check_size("given", *image.size, max_pixels)
    with pillow.typed_errors("given"):
        image.load()
        stated = image.getexif().get(0x0112, 1)
        pixels = np.asarray(_reduced(to_rgb(image), cover))
    return _picture(pixels, image.size, stated if stated in exif.STEPS else 1)
