"""What the classes of a detector are called: as its file says, as a labels file says, or COCO's 80."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from edgeproof.core.errors import DataError
from edgeproof.core.files import storage_error

_LONGEST = 1 << 20
_COCO = 80


@functools.cache
def coco_names() -> tuple[str, ...]:
    """COCO's 80 classes, in the order of the networks that were trained on them."""
    return read_labels(str(files("edgeproof") / "data" / "coco-names.txt"))


def names_of(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The names that exporters of YOLO write into an ONNX file's metadata; None where there are none.

    They are the text of a Python dict or list, which is read without running anything.
    """
    text = metadata.get("names", "")
    if not text or len(text) > _LONGEST:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            return None
        value = [value[place] for place in range(len(value))]
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) and value else None


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names in a text file, a line each, the first for class 0.

    Raises:
        DataError: it is empty, or no text.
        NotFoundError, StorageError: it can't be read.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(_LONGEST + 1)
    except (UnicodeDecodeError, ValueError) as error:  # ValueError: a path with a NUL in it
        raise DataError(f"{path} is no text in UTF-8.", hint="Write a class name on each line.") from error
    except OSError as error:
        raise storage_error(path, error) from error
    names = tuple(line.strip() for line in text.rstrip().splitlines())
    if not names or len(text) > _LONGEST:
        raise DataError(
            f"{path} has no names.", hint="Write a class name on each line, the first for class 0."
        )
    return names


def chosen_names(
    given: tuple[str, ...] | None, written: tuple[str, ...] | None, classes: int | None
) -> tuple[str, ...] | None:
    """The names to use; None where nobody knows them.

    Arguments:
        given: by the user.
        written: in the network's file.
        classes: how many the network tells, where that is known.

    Raises:
        DataError: the user gave another number of names.
    """
    if given is not None:
        if classes is not None and len(given) != classes:
            raise DataError(
                f"There are {len(given)} names for {classes} classes.",
                hint="The labels file needs a line for each class of the network, in its order.",
            )
        return given
    if written is not None:
        return written
    return coco_names() if classes == _COCO else None
