"""Resampling of pictures to what a network takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels


def crop_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The centre square of a picture, resampled by area: each new pixel is the mean of what it covers.

    A pixel on the border between two new ones counts for each by the part that lies in it. (Pillow's BOX
    filter gives it wholly to one of them, and the orientation network, trained on true means, loses 1 point
    by that.) A turned picture gives the turned square, but for one pixel where the margin is odd.

    Arguments:
        pixels: uint8 (H, W, 3).
        side: pixels of the new square.

    Returns:
        uint8 (side, side, 3).

    Raises:
        InputError: not a picture, or a side under 1.
    """
    check_pixels(pixels)
    if side < 1:
        raise InputError(f"The side is {side}.", hint="Expected 1 pixel or more.")
    height, width, _ = pixels.shape
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    cut = pixels[top : top + short, left : left + short].reshape(short, short * 3)
    tall = _sums(cut, side).reshape(side, short, 3)
    wide = _sums(tall.transpose(1, 0, 2).reshape(short, side * 3), side).reshape(side, side, 3)
    mean = wide.transpose(1, 0, 2) * np.float32((side / short) ** 2)
    return np.ascontiguousarray(np.rint(mean).astype(np.uint8))


def _sums(lines: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Lines summed into `side` equal parts: (n, k) to float32 (side, k)."""
    edges = np.linspace(0.0, len(lines), side + 1)
    begin, end = edges[:-1], edges[1:]
    first = begin.astype(np.intp)
    sums = np.zeros((side, lines.shape[1]), np.float32)
    # The parts are alike in size, so one step takes the next line of every part at once.
    for step in range(int((np.ceil(end) - first).max())):
        line = first + step
        share = np.maximum(np.minimum(end, line + 1) - np.maximum(begin, line), 0.0).astype(np.float32)
        sums += lines[np.minimum(line, len(lines) - 1)] * share[:, None]
    return sums
