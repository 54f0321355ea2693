"""Opening with Pillow: one named format, lazily, within the pixel limit, every failure typed."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeproof.core.errors import EdgeproofError, ImageTooLargeError, TruncatedImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_PLUGINS = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
}


@contextlib.contextmanager
def typed_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises about a file of format `name` into one of ours.

    Raises:
        TruncatedImageError, ImageTooLargeError.
    """
    try:
        yield
    except EdgeproofError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(
            f"There is not enough memory to decode the {name} file.", hint="Make the picture smaller first."
        ) from error
    # On damaged bytes the plugins raise nearly anything: OSError, KeyError, struct's and zlib's own.
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise TruncatedImageError(
            f"The {name} file is cut short, damaged or of a kind that can't be read ({reason}).",
            hint="Copy it again from where it came from, or save it as PNG with the program that made it.",
        ) from error


def open_lazily(data: bytes, name: str, max_pixels: int) -> ImageFile:
    """The picture in `data`, of the format `name`, with its header read and nothing decoded.

    Raises:
        TruncatedImageError: it can't be read.
        ImageTooLargeError: more than `max_pixels` pixels.
    """
    # The plugin's class and not Image.open: that one warns of large pictures through the process-wide
    # warning filters, which can't be silenced safely from several threads. The limit here is our own.
    module, attribute = _PLUGINS[name]
    with typed_errors(name):
        image: ImageFile = getattr(importlib.import_module(module), attribute)(io.BytesIO(data))
    check_size(name, *image.size, max_pixels)
    return image


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Check the size that a header states.

    Raises:
        TruncatedImageError: it is empty.
        ImageTooLargeError: more than `max_pixels` pixels.
    """
    if width < 1 or height < 1:
        raise TruncatedImageError(
            f"The {name} file's header says {width} x {height} pixels: it is damaged.",
            hint="Copy it again from where it came from.",
        )
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"The {name} file's header asks for {width:,} x {height:,} pixels; the limit is {max_pixels:,}.",
            hint="Make the picture smaller first, if you trust where it came from.",
        )
