"""Resampling of pictures to what a network takes."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels

# Which line each part takes next, and how much of it in 1/256: index (side,), share uint16 (side, 1).
Taps = tuple[tuple[NDArray[np.intp], NDArray[np.uint16]], ...]
_ONE = 256  # the shares of a part add up to it, so that 255 times their sum still fits in 16 bits


def crop_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The centre square of a picture, resampled by area: each new pixel is the mean of what it covers.

    A pixel on the border between two new ones counts for each by the part that lies in it, rounded to 1/256;
    the whole is within 1 of the exact mean. Pillow's BOX filter, which gives it wholly to one of them, and
    its smoother filters are slower here and up to 1 point less or more right in the orientation network, which
    was trained on true means. A turned picture gives the turned square, but for one pixel where the margin is odd.

    Arguments:
        pixels: uint8 (H, W, 3).
        side: pixels of the new square.

    Returns:
        uint8 (side, side, 3); in memory one colour after the other, as networks take it.

    Raises:
        InputError: not a picture, or a side under 1.
    """
    check_pixels(pixels)
    if side < 1:
        raise InputError(f"The side is {side}.", hint="Expected 1 pixel or more.")
    height, width, _ = pixels.shape
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    taps = _taps(short, side)
    centre = pixels[top : top + short, left : left + short].astype(np.uint16)
    tall = _means(centre.reshape(1, short, short * 3), taps, _ONE // 2).reshape(side, short, 3)
    wide = _means(np.ascontiguousarray(tall.transpose(2, 1, 0)), taps, _ONE // 2 - 1)  # colour, x, y
    planes: NDArray[np.uint8] = np.ascontiguousarray(wide.transpose(0, 2, 1), dtype=np.uint8)
    square: NDArray[np.uint8] = planes.transpose(1, 2, 0)
    return square


def _means(lines: NDArray[np.uint16], taps: Taps, half: int) -> NDArray[np.uint16]:
    """(c, n, k) to (c, side, k), in 16 bits and few passes: this runs once for every photo.

    Arguments:
        half: what is added to round: 128 takes a tie up, 127 down.
    """
    means = np.full((len(lines), len(taps[0][0]), lines.shape[2]), half, np.uint16)
    for line, share in taps:
        part = lines.take(line, axis=1)
        part *= share
        means += part
    means //= _ONE
    return means


@functools.lru_cache(maxsize=16)
def _taps(length: int, side: int) -> Taps:
    """How `side` equal parts cover `length` lines; parts are alike in size, so every part has as many steps."""
    edges = np.linspace(0.0, length, side + 1)
    begin, end = edges[:-1], edges[1:]
    first = begin.astype(np.intp)
    taps = []
    taken = np.zeros(side, np.intp)
    for step in range(int((np.ceil(end) - first).max())):
        line = first + step
        # What is covered up to here is rounded, not each share: so they add up, however many there are.
        covered = np.clip(line + 1 - begin, 0.0, end - begin) * (side / length)
        upto = np.rint(covered * _ONE).astype(np.intp)
        taps.append((np.minimum(line, length - 1), (upto - taken).astype(np.uint16)[:, None]))
        taken = upto
    return tuple(taps)
