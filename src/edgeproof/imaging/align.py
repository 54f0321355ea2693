"""Faces turned, scaled and moved so that their landmarks fall where recognition networks expect them.

A similarity (turn, one scale, shift; never a mirror image) is fitted to the five landmarks, and the picture is
read through it. No OpenCV.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.imaging.decode import check_pixels

# Where the five landmarks lie in an aligned face of 112 x 112: from the ArcFace authors' face_align.py
# (Deng et al. 2019), which nearly every recognition network since was trained with.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE = 112

# Points closer together or farther apart than this many pixels, as root mean square from their middle, are no face.
_LEAST_SPREAD, _MOST_SPREAD = 0.5, 1e5
# Points that fit the template only when read from this many times their own extent are in no order of a face.
_MOST_ZOOM = 64.0

# Positions are whole numbers of 2^-15 pixels, the weights of neighbours of 2^-8: a channel times its weight takes 16
# bits, so the three channels of a pixel are interpolated side by side in one number of 64.
_POSITION, _WEIGHT = 15, 8
_HALF = np.uint64(0x0080_0080_0080)
_HIGH_BYTES = np.uint64(0x00FF_00FF_00FF)

Points: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]


def usable(points: Points) -> NDArray[np.bool_]:
    """(N,) whether each face's landmarks (N, 5, 2) can be aligned: finite, apart, and in the order of a face."""
    return _sound(*_fit(points, TEMPLATE)[:2], TEMPLATE)


def similarity(points: Points, template: Points = TEMPLATE) -> Doubles:
    """The similarities that bring faces to a template, in the least-squares sense.

    The closed form of Umeyama (1991) in two dimensions, where a turn and a scale are one complex factor: no
    singular values, and a mirror image can't come out.

    Arguments:
        points: (N, 5, 2), xy in pixels; whole numbers are middles of pixels.
        template: (5, 2), likewise in the aligned face.

    Returns:
        float64 (N, 2, 3): template = matrix[:, :2] @ point + matrix[:, 2].

    Raises:
        InputError: a face's points are not finite, all in one place, or nothing like a face.
    """
    if points.ndim != 3 or points.shape[1:] != template.shape or template.shape[-1:] != (2,):
        raise InputError(
            f"Landmarks are {list(points.shape)} for a template {list(template.shape)}.",
            hint="Expected (N, 5, 2) and (5, 2).",
        )
    factors, spreads, middles = _fit(points, template)
    bad = np.flatnonzero(~_sound(factors, spreads, template))
    if len(bad):
        raise InputError(
            f"The landmarks of face {bad[0]} are not finite, all in one place, or nothing like a face.",
            hint="A face can't be aligned by them: leave it out (`align.usable` says which).",
        )
    shifts = _complex(template).mean() - factors * middles
    rows = [[factors.real, -factors.imag, shifts.real], [factors.imag, factors.real, shifts.imag]]
    return np.asarray(np.moveaxis(np.array(rows), -1, 0))


def _complex(points: Points) -> NDArray[np.complex128]:
    return np.ascontiguousarray(points, dtype=np.float64).view(np.complex128)[..., 0]


def _fit(points: Points, template: Points) -> tuple[NDArray[np.complex128], Doubles, NDArray[np.complex128]]:
    """Each face's factor (turn and scale), the spread of its points in pixels, and their middle."""
    here, there = _complex(points), _complex(template)
    with np.errstate(all="ignore"):
        middles = here.mean(axis=1)
        here = here - middles[:, None]
        squares = (abs(here) ** 2).sum(axis=1)
        factors = (here.conj() * (there - there.mean())).sum(axis=1) / squares
        return factors, np.sqrt(squares / len(template)), middles


def _sound(factors: NDArray[np.complex128], spreads: Doubles, template: Points) -> NDArray[np.bool_]:
    """Whether the fit is one of a face; what is not finite is not."""
    wanted = float(np.sqrt(((template - template.mean(axis=0)) ** 2).sum(axis=1).mean()))
    with np.errstate(all="ignore"):
        sized = (spreads >= _LEAST_SPREAD) & (spreads <= _MOST_SPREAD)
        return np.asarray(sized & (abs(factors) * spreads * _MOST_ZOOM >= wanted))


def align_faces(pixels: NDArray[np.uint8], landmarks: Points, side: int = SIDE) -> NDArray[np.uint8]:
    """The faces of one picture, upright and at one size.

    What lies outside the picture is black, as the networks saw it in training. A face at twice the size or more is
    first reduced by area, so that its detail doesn't turn into noise.

    Arguments:
        pixels: uint8 (H, W, 3).
        landmarks: (N, 5, 2), xy in pixels of it, in the order of `core.faces.LANDMARKS`.
        side: of the aligned faces, in pixels.

    Returns:
        uint8 (N, side, side, 3).

    Raises:
        InputError: landmarks that no face can have; `usable` says which.
    """
    check_pixels(pixels)
    matrices = similarity(landmarks, TEMPLATE * (side / SIDE) if side != SIDE else TEMPLATE)
    faces = np.zeros((len(matrices), side, side, 3), np.uint8)
    for face, matrix in zip(faces, matrices, strict=True):
        _read_through(pixels, _inverse(matrix), face)
    return faces


def _inverse(matrix: Doubles) -> Doubles:
    """From the aligned face back to the picture."""
    a, b = matrix[0, 0], matrix[1, 0]
    size = a * a + b * b
    turn = np.array([[a, b], [-b, a]]) / size
    return np.hstack([turn, -turn @ matrix[:, 2:]])


def _read_through(pixels: NDArray[np.uint8], inverse: Doubles, face: NDArray[np.uint8]) -> None:
    """Fill one aligned face, bilinearly; `face` is black."""
    side = len(face)
    corners = inverse @ np.array(
        [[0, side - 1, 0, side - 1], [0, 0, side - 1, side - 1], [1, 1, 1, 1]], float
    )
    height, width = pixels.shape[:2]
    low, high = np.floor(corners.min(axis=1)), np.floor(corners.max(axis=1)) + 2
    left, top = (int(max(value, 0)) for value in low)
    right, bottom = (int(min(value, limit)) for value, limit in zip(high, (width, height), strict=True))
    if left >= right or top >= bottom:
        return  # all of it lies outside
    factor = max(1, int(math.hypot(inverse[0, 0], inverse[1, 0])))
    region = _reduced(pixels[top:bottom, left:right], factor)
    offset = np.array([left, top]) + (factor - 1) / 2
    moved = np.column_stack([inverse[:, :2], inverse[:, 2] - offset]) / factor
    _interpolate(_packed(region), moved, face)


def _reduced(region: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor < 2:
        return region
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(region)).reduce(factor))


def _packed(region: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(H, W, 3) to (H + 3, W + 3): a pixel in one number, 16 bits a channel, and black around the picture."""
    height, width = region.shape[:2]
    packed = np.zeros((height + 3, width + 3, 4), "<u2")
    for channel in range(3):  # three times as fast as all at once, which numpy does pixel by pixel
        packed[1:-2, 1:-2, channel] = region[..., channel]
    return packed.view("<u8")[..., 0]


def _interpolate(packed: NDArray[np.uint64], inverse: Doubles, face: NDArray[np.uint8]) -> None:
    """Read `face` from the region; `inverse` counts from its first pixel, which has one of black before it."""
    height, width = packed.shape
    across, down = (
        _positions(row, len(face), size) for row, size in zip(inverse, (width, height), strict=True)
    )
    at = (down >> _POSITION) * width + (across >> _POSITION)
    flat = packed.ravel()
    weights = _weights(across)
    above = _between(flat.take(at), flat.take(at + 1), weights)
    at += width
    below = _between(flat.take(at), flat.take(at + 1), weights)
    result = _between(
        above >> np.uint64(8) & _HIGH_BYTES, below >> np.uint64(8) & _HIGH_BYTES, _weights(down)
    )
    face[:] = result[..., None].view(np.uint8)[..., 1:6:2]


def _positions(row: Doubles, side: int, size: int) -> NDArray[np.intp]:
    """(side, side): where along one axis each pixel of the face is read, within `size` pixels."""
    steps = np.arange(side)
    along = np.rint((row[0] * steps + row[2] + 1) * (1 << _POSITION))
    across = np.rint(row[1] * steps * (1 << _POSITION))
    places = along.astype(np.intp)[None, :] + across.astype(np.intp)[:, None]
    return np.asarray(np.clip(places, 0, (size - 2) << _POSITION, out=places))


def _weights(positions: NDArray[np.intp]) -> NDArray[np.uint64]:
    return np.asarray((positions >> (_POSITION - _WEIGHT)) & 255, dtype=np.uint64)


def _between(
    first: NDArray[np.uint64], second: NDArray[np.uint64], weights: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Two neighbours mixed, rounded; the result is the high byte of each 16 bits."""
    first *= 256 - weights
    second *= weights
    first += second
    first += _HALF
    return first
