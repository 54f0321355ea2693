"""How well people are told apart, on pairs of pictures with known answers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, EdgeproofError, NoFaceError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.files import storage_error
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import OF_ONE_PICTURE, Faces
from edgeproof.streams.ordered import map_ordered
from edgeproof.verify.verification import Verification, verify

COLUMNS = ("fold", "a", "b", "same")
_ANSWERS = {"1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their names below a folder, and whether they show one person."""

    fold: str
    a: str
    b: str
    same: bool


@dataclass(frozen=True)
class VerifiedPairs:
    """What `faces verify` found.

    Attributes:
        result: the figures.
        images: how many pictures there were, each once.
        failures: the pictures without a face that could be used, with the reason.
    """

    result: Verification
    images: int
    failures: Sequence[tuple[str, EdgeproofError]]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document."""
        failures = [{"path": name, "error": error.as_json()} for name, error in self.failures]
        return {**self.result.as_json(), "images": self.images, "failures": failures}


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


def embed_one(path: Path, faces: Faces) -> NDArray[np.float32]:
    """The embedding of the person whom a picture is of.

    Raises:
        NoFaceError: none was found that could be aligned.
        ImageError, NotFoundError, StorageError: the picture can't be read.
    """
    pixels = decode(path).pixels
    found = faces.detect(pixels)
    if len(found):
        chosen = found.take(np.array([most_central(found, pixels.shape[1], pixels.shape[0])]))
        embedding = faces.faces(pixels, chosen, quality=False)[0].embedding
        if embedding is not None:
            return embedding
    raise NoFaceError(f"There is no face in {path}.", hint="Lower --confidence, or give another picture.")


def verify_pairs(
    pairs: Sequence[Pair],
    images: str | Path,
    faces: Faces,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> VerifiedPairs:
    """Embed each picture once and judge the pairs.

    Arguments:
        images: the folder that the pairs' names are below.
        progress: called with how many pictures are done, of how many.

    Raises:
        DataError: too few pairs can be compared.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}.", hint="--images is the folder that the pairs' names are in."
        )
    faces.open()

    def one(name: str) -> NDArray[np.float32] | EdgeproofError:
        try:
            return embed_one(folder / name, faces)
        except OF_ONE_PICTURE as error:
            return error

    answers: dict[str, NDArray[np.float32] | EdgeproofError] = {}
    for name, answer in zip(names, map_ordered(one, names, workers=workers), strict=True):
        answers[name] = answer
        progress(len(answers), len(names))
    similarities = [_similarity(answers[pair.a], answers[pair.b]) for pair in pairs]
    failures = [(name, answer) for name, answer in answers.items() if isinstance(answer, EdgeproofError)]
    try:
        result = verify(similarities, [pair.same for pair in pairs], [pair.fold for pair in pairs])
    except DataError as error:
        reason = f" The first picture that failed: {failures[0][1].message}" if failures else ""
        raise DataError(error.message + reason, hint=error.hint) from error
    return VerifiedPairs(result, len(names), failures)


def _similarity(a: NDArray[np.float32] | EdgeproofError, b: NDArray[np.float32] | EdgeproofError) -> float:
    return float("nan") if isinstance(a, EdgeproofError) or isinstance(b, EdgeproofError) else float(a @ b)
