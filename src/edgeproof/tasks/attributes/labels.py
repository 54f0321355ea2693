"""Crops of faces with known ages and genders: CSV, and what part of a crop a network is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.attributes import Bucket
from edgeproof.core.errors import DataError
from edgeproof.core.tables import read_table
from edgeproof.imaging.crop import square_crops
from edgeproof.tasks.attributes.estimate import bucket_of
from edgeproof.tasks.attributes.family import GENDERS, Family

COLUMNS = ("file", "age", "gender")
_GENDERS = {**{name.lower(): name for name in GENDERS}, "m": "Male", "f": "Female"}
_OTHER_NAMES = {"more than 70": "70+"}  # as FairFace's own tables call it


@dataclass(frozen=True)
class LabelledFace:
    """One line of the table.

    Attributes:
        file: the crop's name below the folder.
        age: a bucket's name or years, as written; "" where it isn't known.
        gender: "Male", "Female", or "" where it isn't known.
        line: of the table, for messages.
    """

    file: str
    age: str
    gender: str
    line: int


def read_labels(path: str | Path) -> list[LabelledFace]:
    """The lines of a CSV file with the columns file, age and gender.

    Raises:
        DataError: it isn't such a file, or holds no face.
        NotFoundError, StorageError: it can't be read.
    """
    faces = [_labelled(cells, line, path) for line, cells in read_table(path, COLUMNS)]
    if not faces:
        raise DataError(f"{path} holds no face.", hint="Each line is a face: file,age,gender")
    return faces


def _labelled(cells: Sequence[str], line: int, path: str | Path) -> LabelledFace:
    file, age, gender = cells
    if not file or (gender and gender.lower() not in _GENDERS):
        raise DataError(
            f"Line {line} of {path} is no face: file is {file!r}, gender is {gender!r}.",
            hint="The name of a crop, and Male or Female, or nothing where it isn't known.",
        )
    return LabelledFace(file, age, _GENDERS.get(gender.lower(), ""), line)


def bucket_number(age: str, buckets: Sequence[Bucket]) -> int | None:
    """The number of the bucket that a label means: a bucket's name, or years; None for no label.

    Raises:
        DataError: it is neither.
    """
    if not age:
        return None
    names = [bucket.name for bucket in buckets]
    if _OTHER_NAMES.get(age, age) in names:
        return names.index(_OTHER_NAMES.get(age, age))
    try:
        years = float(age)
    except ValueError:
        years = -1.0
    if not 0 <= years <= 150:
        raise DataError(
            f"The age {age!r} is none that this network tells.",
            hint=f"Write years, or one of: {', '.join(names)}.",
        )
    return buckets.index(bucket_of(years, buckets))


def central_crop(pixels: NDArray[np.uint8], family: Family, share: float | None = None) -> NDArray[np.uint8]:
    """What a network is shown of one crop of a face.

    Arguments:
        pixels: uint8 (H, W, 3) RGB.
        share: of the crop's shorter side, around its middle; None for what the network needs of crops that have
            FairFace's margin.

    Returns:
        uint8 (1, side, side, 3).
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    box = np.array([[width - short, height - short, width + short, height + short]]) / 2
    return square_crops(pixels, box, family.side, grow=((share or family.central) - 1) / 2)
