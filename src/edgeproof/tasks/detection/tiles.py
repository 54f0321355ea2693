"""Small objects in large pictures: a picture is seen as a whole, and in tiles that the network sees unreduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeproof.core.detections import Detections
from edgeproof.imaging.boxes import nms

# An object of up to this share of a tile's side lies whole in one tile at least.
OVERLAP = 0.25
# A picture of 100 megapixels has some 900 tiles of 416 pixels; more is a mistake.
MOST_TILES = 2000
# Boxes that end within so many pixels of a border between tiles are those of objects that it cuts.
_NEAR = 2.0


class Tile(NamedTuple):
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def tiles_of(size: tuple[int, int], frame: tuple[int, int], overlap: float = OVERLAP) -> list[Tile]:
    """Tiles of a frame's size that cover a picture, evenly spread; none where the frame holds the picture whole.

    Arguments:
        size, frame: width and height.
        overlap: the least share of a tile's side that two neighbours have in common.
    """
    if size[0] <= frame[0] and size[1] <= frame[1]:
        return []
    columns, lines = (_starts(*one, overlap) for one in zip(size, frame, strict=True))
    if len(columns) * len(lines) > MOST_TILES:
        return []
    wide, high = (min(one) for one in zip(size, frame, strict=True))
    return [Tile(left, top, wide, high) for top in lines for left in columns]


def _starts(length: int, part: int, overlap: float) -> list[int]:
    if length <= part:
        return [0]
    count = math.ceil((length - part * overlap) / (part * (1 - overlap)))
    return [round(start) for start in np.linspace(0, length - part, max(2, count))]


def merged(
    whole: Detections,
    parts: Sequence[tuple[Tile, Detections]],
    size: tuple[int, int],
    *,
    iou: float,
    agnostic: bool,
    most: int,
) -> Detections:
    """The objects of a picture and those of its tiles as one; what a tile's border cuts is left to the others.

    Arguments:
        whole: found in the whole picture.
        parts: found in each tile, in pixels of the tile.
        size: width and height of the picture.
    """
    found = [whole, *(_inside(tile, one, size) for tile, one in parts)]
    boxes = np.concatenate([one.xyxy for one in found])
    scores = np.concatenate([one.confidence for one in found])
    classes = np.concatenate([one.class_id for one in found])
    kept = nms(boxes, scores, iou, None if agnostic else classes, most)
    return Detections(boxes[kept], scores[kept], classes[kept])


def _inside(tile: Tile, found: Detections, size: tuple[int, int]) -> Detections:
    """A tile's objects in the picture's pixels, without those that a border between tiles cuts."""
    low, high = found.xyxy[:, :2], found.xyxy[:, 2:]
    begins, ends = np.array([tile.left > 0, tile.top > 0]), np.array([tile.width, tile.height])
    goes_on = np.array([tile.left + tile.width < size[0], tile.top + tile.height < size[1]])
    cut = ((low < _NEAR) & begins) | ((high > ends - _NEAR) & goes_on)
    kept = np.flatnonzero(~cut.any(axis=1))
    move = np.array([tile.left, tile.top] * 2, np.float32)
    return Detections(found.xyxy[kept] + move, found.confidence[kept], found.class_id[kept])
