"""Squares around boxes, as networks that look at one face or object want them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels

# A square this many times larger than wanted is first made smaller by whole steps: the same to the eye, and faster.
_GAP = 2.0


def square_crops(
    pixels: NDArray[np.uint8], boxes: NDArray[np.floating[Any]], side: int, *, grow: float = 0.0
) -> NDArray[np.uint8]:
    """A square around the middle of each box, as wide as the box's longer side.

    Resampled once: bilinear where it is enlarged, by area and a triangle where it shrinks. What lies beside the
    picture has the colour of its nearest pixel.

    Arguments:
        pixels: uint8 (H, W, 3).
        boxes: float (N, 4), xyxy in pixels.
        side: pixels of the new squares.
        grow: how much of its side a square grows on each of its four sides.

    Returns:
        uint8 (N, side, side, 3).

    Raises:
        InputError: not a picture, a side under 1, or boxes that are not finite or of no use.
    """
    check_pixels(pixels)
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise InputError(f"The boxes are {list(boxes.shape)}.", hint="Expected finite numbers (N, 4), xyxy.")
    if side < 1 or not -0.5 < grow < 10:
        raise InputError(f"side is {side} and grow {grow}.", hint="Expected 1 pixel or more, and -0.5 to 10.")
    squares = np.empty((len(boxes), side, side, 3), np.uint8)
    for place, box in enumerate(boxes):
        squares[place] = _square(pixels, box, side, grow)
    return squares


def _square(pixels: NDArray[np.uint8], box: NDArray[np.float64], side: int, grow: float) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    middle = np.clip((box[:2] + box[2:]) / 2, 0, (width, height))
    half = max(1.0, float((box[2:] - box[:2]).max())) * (0.5 + grow)
    half = min(
        half, 2.0 * max(width, height)
    )  # of a box far larger than the picture there is nothing more to see
    low, high = middle - half, middle + half
    left, top = np.floor(low).astype(int)
    right, bottom = np.ceil(high).astype(int)
    region = pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    beside = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)), (0, 0))
    if any(map(any, beside)):
        region = np.pad(region, beside, mode="edge")
    part = (*(low - (left, top)), *(high - (left, top)))
    image = Image.fromarray(np.ascontiguousarray(region))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=part, reducing_gap=_GAP))
