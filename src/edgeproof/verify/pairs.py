"""Pairs of pictures with known answers: one person, or two."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.files import storage_error

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
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(missing)}.",
                    hint="Its first line has to be: fold,a,b,same",
                )
            pairs = [_pair(row, reader.line_num, path) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is no CSV file in UTF-8: {error}.", hint="Save it as CSV in UTF-8."
        ) from error
    except ValueError as error:  # a path with a NUL in it
        raise DataError(f"{str(path)!r} isn't a path.", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise storage_error(path, error) from error
    if not pairs:
        raise DataError(f"{path} holds no pair.", hint="Each line is a pair: fold,a,b,same")
    return pairs


def _pair(row: dict[str, Any], line: int, path: str | Path) -> Pair:
    fold, a, b, same = ((row[name] or "").strip() for name in COLUMNS)
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
