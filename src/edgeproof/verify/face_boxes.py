"""The boxes of faces that are in pictures: JSON, {file: [[x1, y1, x2, y2], ...]}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, NotFoundError
from edgeproof.core.files import storage_error

Boxes = NDArray[np.float32]

_MOST_BYTES = 256 << 20
_FARTHEST = 1e6  # pixels: no picture is so large


def read_boxes(path: str | Path) -> dict[str, Boxes]:
    """The boxes of a JSON file: {"name": [[x1, y1, x2, y2], ...], ...}, pixels of the upright picture.

    Raises:
        DataError: it isn't such a file.
        NotFoundError, StorageError: it can't be read.
    """
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise DataError(
                f"{path} is over {_MOST_BYTES >> 20} MB.", hint="Split the pictures into several sets."
            )
        document = json.loads(Path(path).read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"{path} is no JSON: {error}.", hint="Expected {file: [[x1,y1,x2,y2],...]}."
        ) from error
    except ValueError as error:  # a path with a NUL in it
        raise NotFoundError(f"{str(path)!r} isn't a path.", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise storage_error(path, error) from error
    if not isinstance(document, dict) or not document:
        raise DataError(f"{path} holds no boxes.", hint="Expected {file: [[x1,y1,x2,y2],...]}.")
    return {name: _boxes(name, rows, path) for name, rows in document.items()}


def _boxes(name: str, rows: Any, path: str | Path) -> Boxes:
    wrong = DataError(
        f"The boxes of {name!r} in {path} can't be read.",
        hint="Expected a list of [x1,y1,x2,y2], x1 below x2 and y1 below y2.",
    )
    try:
        boxes = np.array(rows or np.empty((0, 4)), np.float64)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not (np.abs(boxes) < _FARTHEST).all():
        raise wrong
    if (boxes[:, :2] >= boxes[:, 2:]).any():
        raise wrong
    return boxes.astype(np.float32)
