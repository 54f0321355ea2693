"""Resampling of pictures to what a network takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels


def crop_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The centre square of a picture, resampled with a triangle filter as wide as two new pixels.

    Pillow's BOX filter would be cheaper and is no true area mean at other than whole-number scales: it gives a
    pixel on the border between two new ones wholly to one of them. The orientation network, trained on true
    area means, lost 1 point by it and none by the triangle.

    Arguments:
        pixels: uint8 (H, W, 3).
        side: pixels of the new square.

    Returns:
        uint8 (side, side, 3).

    Raises:
        InputError: not a picture, or a side under 1.
    """
    from PIL import Image

    check_pixels(pixels)
    if side < 1:
        raise InputError(f"The side is {side}.", hint="Expected 1 pixel or more.")
    height, width, _ = pixels.shape
    short = min(height, width)
    # Half a pixel from either edge where the centre falls between pixels: so a turned picture gives the
    # turned square. Only the pixels under the square are handed on, since Pillow copies what it gets.
    top, left = (height - short) / 2, (width - short) / 2
    rows = slice(int(top), int(top + short + 0.5))
    columns = slice(int(left), int(left + short + 0.5))
    image = Image.fromarray(np.ascontiguousarray(pixels[rows, columns]))
    box = (left % 1, top % 1, left % 1 + short, top % 1 + short)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
