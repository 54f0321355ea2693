"""A picture of any size in a frame of a given size, its shape kept, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels

# Below this scale a picture is first made smaller by whole steps, so that no pixel is left out.
_GAP = 2.0
# Bytes from which what Pillow takes beside a picture counts.
_LARGE = 3_000_000


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies in its frame: from the upper left corner on.

    Attributes:
        scale: how much wider and higher the picture is there.
        size: width and height of the picture, in its own pixels.
    """

    scale: tuple[float, float]
    size: tuple[int, int]

    def to_picture(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Points (..., 2) xy of the frame in the picture's own pixels."""
        scale = np.array(self.scale, np.float32)
        placed: NDArray[np.float32] = np.divide(points, scale, dtype=np.float32)
        return placed


def letterbox(
    pixels: NDArray[np.uint8],
    width: int,
    height: int,
    fill: int | tuple[int, int, int] = 0,
    *,
    scale: float | None = None,
    stretch: bool = False,
    gap: float = _GAP,
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Put a picture into a frame, as large as it fits, resampled once (bilinear; by area where it shrinks).

    Arguments:
        pixels: uint8 (H, W, 3).
        width, height: pixels of the frame.
        fill: grey level or RGB of the rest of the frame.
        scale: how much larger the picture gets, at the most; None: as large as it fits.
        stretch: fill the whole frame instead, without keeping the picture's shape; `scale` then counts for nothing.
        gap: a picture this many times larger than wanted is first made smaller by whole steps; 1 is fastest.

    Returns:
        uint8 (height, width, 3), and where the picture lies in it.

    Raises:
        InputError: not a picture, a frame without pixels, or a scale that is not above 0.
    """
    check_pixels(pixels)
    if width < 1 or height < 1 or not (scale is None or 0 < scale < np.inf):
        raise InputError(
            f"The frame is {width} x {height} pixels and the scale {scale}.",
            hint="Expected 1 pixel or more, and a scale above 0.",
        )
    high, wide = pixels.shape[:2]
    fits = min(width / wide, height / high)
    wanted = fits if scale is None else min(fits, scale)
    size = (min(width, max(1, round(wide * wanted))), min(height, max(1, round(high * wanted))))
    size = (width, height) if stretch else size
    place = Letterbox((size[0] / wide, size[1] / high), (wide, high))
    picture = _resized(pixels, size, gap)
    if size == (width, height):
        return picture, place
    frame = np.empty((height, width, 3), np.uint8)
    frame[: size[1], : size[0]] = picture
    frame[: size[1], size[0] :], frame[size[1] :] = fill, fill
    return frame, place


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int], gap: float) -> NDArray[np.uint8]:
    if size == (pixels.shape[1], pixels.shape[0]):
        return np.ascontiguousarray(pixels)
    if pixels.size < _LARGE:
        return _with_pillow(pixels, size, gap)
    # Pillow keeps a colour picture in four bytes a pixel, twice: colour by colour it takes a tenth of that.
    made = np.empty((size[1], size[0], 3), np.uint8)
    for colour in range(3):
        made[..., colour] = _with_pillow(pixels[..., colour], size, gap)
    return made


def _with_pillow(pixels: NDArray[np.uint8], size: tuple[int, int], gap: float) -> NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=gap))
