"""Inputs to try a network with whose preparation is not known: photos, or noise, in the usual ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, ImageError, ModelError
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.resize import crop_square

PHOTOS_MOST = 8
# What networks are fed with: 0 to 1, -1 to 1, and raw bytes. (scale, shift) of values 0 to 1.
ZERO_TO_ONE = (1.0, 0.0)
USUAL_RANGES = (ZERO_TO_ONE, (2.0, -1.0), (255.0, 0.0))
# A size that is left open: a multiple of 32, which detectors' strides ask for.
OPEN_SIZE = 224
_CHANNELS = (1, 3)
# A damaged file may ask for any size: 256 MB of float32 is more than any picture network takes.
_VALUES_MOST = 1 << 26


def find_samples(folder: Path, *, most: int = PHOTOS_MOST, cover: int = OPEN_SIZE) -> list[NDArray[np.uint8]]:
    """The first photos of a folder, in sorted order, as uint8 (H, W, 3) RGB; what can't be read is left out.

    Arguments:
        most: how many, 1 or more.
        cover: the side in pixels of the square that they have to fill; JPEGs are decoded no larger than it needs.

    Raises:
        NotFoundError: no such folder.
        DataError: not one photo can be read.
    """
    pictures: list[NDArray[np.uint8]] = []
    for path in find_photos([folder]):
        if len(pictures) == most:
            break
        try:
            pictures.append(decode(path, cover=cover).pixels)
        except ImageError:
            continue
    if not pictures:
        raise DataError(
            f"There is no photo in {folder} that can be read.", hint="Give a folder of JPEG or PNG photos."
        )
    return pictures


def sample_inputs(
    specs: Sequence[TensorSpec],
    photos: Sequence[NDArray[np.uint8]] = (),
    *,
    seed: int = 0,
    ranges: Sequence[tuple[float, float]] = USUAL_RANGES,
) -> Iterator[dict[str, Array]]:
    """Feeds for a network: each photo (or one picture of seeded noise) in each of the ranges.

    Floats come in 0..1, -1..1 and 0..255, as it can't be known which of them the network was trained on; bytes over
    all their values; other integers and booleans as 0 or 1, since they are mostly indices and switches. Inputs that
    are no picture get noise. Sizes that are left open become 1 for the batch, else 224.

    Arguments:
        specs: the network's inputs.
        photos: uint8 (H, W, 3) RGB; empty for noise.
        seed: of the noise.
        ranges: (scale, shift) of values from 0 to 1; the usual ones are 0..1, -1..1 and 0..255.

    Raises:
        ModelError: an input asks for more than 2^26 values.
    """
    chance = np.random.default_rng(seed)
    pictures: Sequence[NDArray[np.uint8] | None] = photos or [None]
    for photo in pictures:
        for scale, shift in ranges:
            yield {spec.name: _fill(spec, photo, scale, shift, chance) for spec in specs}


def _fill(
    spec: TensorSpec,
    photo: NDArray[np.uint8] | None,
    scale: float,
    shift: float,
    chance: np.random.Generator,
) -> Array:
    shape = tuple(
        size if isinstance(size, int) else (OPEN_SIZE if axis else 1) for axis, size in enumerate(spec.shape)
    )
    if math.prod(shape) > _VALUES_MOST:
        raise ModelError(
            f"Input {spec} asks for {math.prod(shape):,} values.",
            hint="The file is damaged, or the network was exported for a size that nothing can run.",
        )
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "fiu" or (dtype.kind in "iu" and dtype.itemsize > 1):
        switches: Array = chance.integers(0, 2, shape).astype(dtype)
        return switches
    values = _picture(photo, shape) if photo is not None else None
    if values is None:
        values = chance.random(shape, dtype=np.float32)
    if dtype.kind == "f":
        return np.asarray(values * np.float32(scale) + np.float32(shift), dtype=dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.rint(values * 255 + limits.min), dtype=dtype)


def _picture(photo: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """float32 0..1 in `shape` if that is a picture's, channels first or last."""
    if len(shape) != 4 or (shape[1] not in _CHANNELS and shape[3] not in _CHANNELS):
        return None
    first = shape[1] in _CHANNELS
    height, width, channels = (shape[2], shape[3], shape[1]) if first else shape[1:]
    side = max(height, width)
    square = crop_square(photo, side).astype(np.float32) / 255
    top, left = (side - height) // 2, (side - width) // 2
    pixels = square[top : top + height, left : left + width]
    if channels == 1:
        pixels = pixels.mean(axis=2, keepdims=True)
    if first:
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(np.broadcast_to(pixels, shape))
