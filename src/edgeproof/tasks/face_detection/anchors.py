"""Anchors of single-shot detectors, and offsets from them (Liu et al. 2016, SSD, section 2.2)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from edgeproof.tasks.face_detection.decoder import cells

Floats = NDArray[np.float32]
# For each stride, the sides of its square anchors.
Sides = tuple[tuple[int, tuple[float, ...]], ...]

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


def count(size: tuple[int, int], sides: Sides) -> int:
    """How many anchors an input of that width and height has."""
    return sum(int(np.prod(cells(size, stride))) * len(lengths) for stride, lengths in sides)


@functools.lru_cache(maxsize=8)
def anchors(size: tuple[int, int], sides: Sides) -> Floats:
    """Centres and sides, float32 (N, 3), in pixels: place by place, line by line, stride by stride."""
    levels = []
    for stride, lengths in sides:
        columns, lines = cells(size, stride)
        y, x, side = np.meshgrid(
            (np.arange(lines) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, lengths, indexing="ij"
        )
        levels.append(np.stack([x, y, side], axis=-1).reshape(-1, 3))
    made = np.concatenate(levels).astype(np.float32)
    made.flags.writeable = False
    return made


def boxes_of(offsets: Floats, placed: Floats) -> Floats:
    """Offsets (N, 4) from anchors (N, 3) to corners (N, 4)."""
    side = placed[:, 2:]
    middle = placed[:, :2] + offsets[:, :2] * CENTRE_VARIANCE * side
    half = np.exp(offsets[:, 2:] * SIZE_VARIANCE) * side / 2
    corners: Floats = np.concatenate([middle - half, middle + half], axis=1)
    return corners


def points_of(offsets: Floats, placed: Floats) -> Floats:
    """Offsets (N, 10) from anchors (N, 3) to five points (N, 5, 2)."""
    points: Floats = placed[:, None, :2] + offsets.reshape(-1, 5, 2) * CENTRE_VARIANCE * placed[:, 2:, None]
    return points
