"""The boxes that are in pictures, as people label them: YOLO's text files, or COCO's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError
from edgeproof.core.files import storage_error
from edgeproof.verify.mean_average_precision import Truth

_LARGEST = 1 << 30


@dataclass(frozen=True)
class ObjectLabels:
    """The labels of the pictures below a folder.

    Attributes:
        path: a folder of YOLO's text files, or a file of COCO's kind.
        folder: of the pictures.
        coco: what the file holds; None for a folder of text.
        classes: the network's class of each of the file's.
    """

    path: Path
    folder: Path
    coco: CocoLabels | None = None
    classes: tuple[int, ...] = ()

    def know(self, photo: Path) -> bool:
        """Whether a picture counts: all do but those that COCO's file doesn't list."""
        return self.coco is None or self._key(photo) is not None

    def truth(self, photo: Path, width: int, height: int) -> Truth:
        """The boxes of a picture that counts, in its pixels; errors as `read_yolo`."""
        if self.coco is None:
            text = self.path / photo.relative_to(self.folder).with_suffix(".txt")
            return read_yolo(text, width, height)
        found = self.coco.pictures[self._key(photo) or ""]
        return replace(found, classes=np.array(self.classes, np.int64)[found.classes])

    def _key(self, photo: Path) -> str | None:
        """What the file calls a picture: its path below the folder, or its name."""
        assert self.coco is not None
        keys = (photo.relative_to(self.folder).as_posix(), photo.name)
        return next((key for key in keys if key in self.coco.pictures), None)


def open_labels(labels: str | Path, folder: str | Path, names: Sequence[str] | None) -> ObjectLabels:
    """The labels of the pictures below a folder.

    Arguments:
        labels: a folder of YOLO's text files, one beside each picture's name, or a file of COCO's kind: its categories
            are the network's of the same name, else in the order of their ids.
        names: of the network's classes, where they are known.

    Raises:
        DataError: there are none, or the file is something else.
        StorageError: the file can't be read.
    """
    if Path(labels).is_dir():
        return ObjectLabels(Path(labels), Path(folder))
    if not Path(labels).is_file():
        raise DataError(
            f"There are no labels at {labels}.", hint="Give a folder of YOLO's text, or COCO's JSON."
        )
    coco = read_coco(labels)
    known = names is not None and set(coco.names) <= set(names)
    classes = (list(names or ()).index(name) for name in coco.names) if known else range(len(coco.names))
    return ObjectLabels(Path(labels), Path(folder), coco, tuple(classes))


def check_classes(truths: Iterable[Truth], classes: int | None) -> None:
    """Refuse labels of classes that a network doesn't have.

    Arguments:
        classes: how many it has; None where that is not known.

    Raises:
        DataError: there is one.
    """
    most = max((int(truth.classes.max(initial=-1)) for truth in truths), default=-1)
    if classes is not None and most >= classes:
        raise DataError(
            f"The labels have a class {most}, and the network has {classes} classes, from 0.",
            hint="Check that the labels are in the order of the network's classes.",
        )


@dataclass(frozen=True)
class CocoLabels:
    """A COCO file.

    Attributes:
        pictures: what is in each, by file name.
        names: of the classes 0, 1, 2...: its categories in the order of their ids.
        ids: their ids, as COCO's own results name them.
        image_ids: by file name.
    """

    pictures: Mapping[str, Truth]
    names: tuple[str, ...]
    ids: tuple[int, ...]
    image_ids: Mapping[str, Any]


def read_yolo(path: Path, width: int, height: int) -> Truth:
    """The boxes of one picture: a line each, `class cx cy w h` as shares of its sides; no file, or an empty one: none.

    Arguments:
        width, height: pixels of the picture.

    Raises:
        DataError: a line is something else.
        StorageError: it can't be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.exists() else []
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text.", hint="Each line is: class cx cy w h.") from error
    except OSError as error:
        raise storage_error(path, error) from error
    rows = [_yolo_row(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()]
    table = np.array([row[1:] for row in rows], np.float64).reshape(-1, 4)
    middle, half = table[:, :2], table[:, 2:] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1) * [width, height, width, height]
    return Truth(boxes, np.array([row[0] for row in rows], np.int64).reshape(-1))


def _yolo_row(line: str, path: Path, number: int) -> tuple[float, ...]:
    try:
        row = tuple(map(float, line.split()))
    except ValueError:
        row = ()
    if len(row) != 5 or not all(map(math.isfinite, row)) or row[0] < 0 or row[0] % 1 or min(row[3:]) < 0:
        raise DataError(
            f"Line {number} of {path} is no box: {line[:80]!r}.",
            hint="Expected: class cx cy w h, the class from 0 and the rest as shares of the picture's sides.",
        )
    return row


def read_coco(path: str | Path) -> CocoLabels:
    """A file of COCO's kind, with `images`, `annotations` and `categories`.

    Raises:
        DataError: it isn't one.
        NotFoundError, StorageError: it can't be read.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise DataError(f"{path} is larger than {_LARGEST >> 20} MB.", hint="Split it.")
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        return _coco(document)
    except OSError as error:
        raise storage_error(file, error) from error
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"{path} is no file of COCO's kind: {type(error).__name__} {error}."[:300],
            hint="It needs images (id, file_name), annotations (image_id, category_id, bbox), categories (id, name).",
        ) from error


def _coco(document: Mapping[str, Any]) -> CocoLabels:
    categories = sorted(document["categories"], key=lambda row: int(row["id"]))
    place = {int(row["id"]): number for number, row in enumerate(categories)}
    rows: dict[Any, list[Mapping[str, Any]]] = {row["id"]: [] for row in document["images"]}
    for row in document["annotations"]:
        rows[row["image_id"]].append(row)
    return CocoLabels(
        {str(row["file_name"]): _coco_truth(rows[row["id"]], place) for row in document["images"]},
        tuple(str(row["name"]) for row in categories),
        tuple(place),
        {str(row["file_name"]): row["id"] for row in document["images"]},
    )


def _coco_truth(rows: Sequence[Mapping[str, Any]], place: Mapping[int, int]) -> Truth:
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("a bbox is not finite")
    boxes[:, 2:] += boxes[:, :2]
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    areas = [float(row.get("area", side)) for row, side in zip(rows, sides, strict=True)]
    return Truth(
        boxes,
        np.array([place[int(row["category_id"])] for row in rows], np.int64).reshape(-1),
        np.array(areas, np.float64).reshape(-1),
        np.array([bool(row.get("iscrowd", 0)) for row in rows], bool).reshape(-1),
    )
