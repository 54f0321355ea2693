"""Pairs of pictures with known answers: one person, or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeproof.core.errors import DataError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.tables import read_table

COLUMNS = ("fold", "a", "b", "same")
_ANSWERS = {"1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their names below a folder, and whether they show one person."""

    fold: str
    a: str
    b: str
    same: bool


def read_pairs(path: str | Path) -> list[Pair]:
    """The pairs of a CSV file with the columns fold, a, b, same (1 or 0).

    Raises:
        DataError: it isn't such a file, or holds no pair.
        NotFoundError, StorageError: it can't be read.
    """
    pairs = [_pair(cells, line, path) for line, cells in read_table(path, COLUMNS)]
    if not pairs:
        raise DataError(f"{path} holds no pair.", hint="Each line is a pair: fold,a,b,same")
    return pairs


def _pair(cells: Sequence[str], line: int, path: str | Path) -> Pair:
    fold, a, b, same = cells
    if not a or not b or same.lower() not in _ANSWERS:
        raise DataError(
            f"Line {line} of {path} is no pair: a is {a!r}, b is {b!r}, same is {same!r}.",
            hint="Two names of pictures, and 1 for the same person or 0 for two.",
        )
    return Pair(fold, a, b, _ANSWERS[same.lower()])


def most_central(detections: FaceDetections, width: int, height: int) -> int:
    """Which face a picture of one person is of: a large one near its middle.

    The rule that FaceNet's and InsightFace's evaluations use: area less twice the square of the distance from the
    middle of the picture, in pixels.
    """
    boxes = detections.boxes.astype(np.float64)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    away = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([width, height]) / 2
    return int(np.argmax(area - 2 * (away**2).sum(axis=1)))
