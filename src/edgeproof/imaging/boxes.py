"""Boxes: how much two overlap, which of many are the same thing, and the same faces in a turned picture."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.faces import FaceDetections
from edgeproof.imaging import exif

Floats = NDArray[np.float32]

# Boxes that are compared with each other at once: the table of their overlaps then has 64 thousand numbers.
_BLOCK = 256
# What a mirror does to `LANDMARKS`: the eye that was left in the picture is right now, the corners too.
_MIRRORED = [1, 0, 2, 4, 3]


def iou(one: Floats, other: Floats) -> Floats:
    """Intersection over union of every box with every other.

    Arguments:
        one: float (N, 4), xyxy.
        other: float (M, 4), xyxy.

    Returns:
        float32 (N, M), 0 to 1; 0 where both boxes have no area.
    """
    a, b = np.asarray(one, np.float32), np.asarray(other, np.float32)
    shared = np.ones((len(a), len(b)), np.float32)
    for low, high in ((0, 2), (1, 3)):
        side = np.minimum(a[:, None, high], b[None, :, high])
        side -= np.maximum(a[:, None, low], b[None, :, low])
        shared *= np.maximum(side, 0, out=side)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    found: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found


def _areas(boxes: Floats) -> Floats:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: Floats = sides[:, 0] * sides[:, 1]
    return areas


def nms(
    boxes: Floats,
    scores: Floats,
    threshold: float,
    classes: NDArray[np.integer] | None = None,
    limit: int | None = None,
) -> NDArray[np.intp]:
    """Non-maximum suppression: of boxes that overlap by more than `threshold`, the one with the best score.

    The answer is that of the loop that takes the best box, drops what overlaps it, and goes on with the rest.

    Arguments:
        boxes: float (N, 4), xyxy.
        scores: float (N,); of equal ones the first counts as better.
        threshold: IoU of 0 to 1, above which two boxes are one thing.
        classes: (N,); boxes of two classes are never one thing. None: all of one.
        limit: the most boxes wanted.

    Returns:
        Indices of the boxes kept, best first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    placed = np.asarray(boxes, np.float32)[order]
    kinds = None if classes is None else np.asarray(classes)[order]
    most = len(order) if limit is None else limit
    kept = np.empty(0, np.intp)

    def same(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.bool_]:
        over: NDArray[np.bool_] = iou(placed[one], placed[other]) > threshold
        return over if kinds is None else over & (kinds[one][:, None] == kinds[other][None])

    for start in range(0, len(order), _BLOCK):
        if len(kept) >= most:
            break
        block = np.arange(start, min(start + _BLOCK, len(order)))
        free: NDArray[np.bool_] = ~np.any(same(block, kept), axis=1)
        kept = np.concatenate([kept, block[_best(np.triu(same(block, block), 1), free)]])
    return order[kept[:most]]


def _best(drops: NDArray[np.bool_], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which boxes of a block, best first, are kept of those that are free; row i of `drops` is what box i drops."""
    kept = free
    # Each round settles at least the first box that wasn't: boxes before it are right and don't change again.
    while True:
        again = free & ~drops[kept].any(axis=0)
        if np.array_equal(again, kept):
            return kept
        kept = again


def turn_boxes(detections: FaceDetections, turn: int, width: int, height: int) -> FaceDetections:
    """Faces found in a turned picture, as they lie in the picture before the turn.

    Arguments:
        detections: found after turning the picture clockwise.
        turn: 0, 90, 180 or 270 degrees.
        width, height: pixels of the picture before the turn.

    Raises:
        InputError: another turn.
    """
    return stored_boxes(detections, exif.compose(1, turn), width, height)


def stored_boxes(detections: FaceDetections, orientation: int, width: int, height: int) -> FaceDetections:
    """Faces found in an upright picture, as they lie in the pixels that its file stores.

    In a mirrored frame the landmarks change places, so that "left" is left in it too.

    Arguments:
        detections: in pixels of the upright picture.
        orientation: the file's EXIF orientation, 1 to 8.
        width, height: pixels of the picture as stored.

    Raises:
        InputError: no such orientation.
    """
    if orientation not in exif.STEPS:
        raise InputError(f"The EXIF orientation is {orientation!r}.", hint="Expected 1 to 8.")
    mirror, turn = exif.STEPS[orientation]
    corners = _back(detections.boxes.reshape(-1, 2, 2), mirror, turn, width, height)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    marks = detections.landmarks
    if marks is not None:
        marks = _back(marks, mirror, turn, width, height)
        marks = marks[:, _MIRRORED] if mirror else marks
    return dataclasses.replace(detections, boxes=boxes, landmarks=marks)


def _back(points: Floats, mirror: bool, turn: int, width: int, height: int) -> Floats:
    """Points (..., 2) of a picture that was mirrored, then turned clockwise, before both."""
    x, y = points[..., 0], points[..., 1]
    back = {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[turn]
    across = width - back[0] if mirror else back[0]
    placed: Floats = np.stack([across, back[1]], axis=-1).astype(np.float32)
    return placed
