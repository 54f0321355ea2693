"""How well faces are found, on pictures whose boxes are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, EdgeproofError, ImageError, NotFoundError, StorageError
from edgeproof.core.files import storage_error
from edgeproof.imaging.decode import decode
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.verify.average_precision import Curve, Found, curves

Boxes = NDArray[np.float32]

# The curve needs weak candidates too: the average precision is over all thresholds.
LEAST = 0.02
OVERLAP = 0.5
_MOST_BYTES = 256 << 20
_FARTHEST = 1e6  # pixels: no picture is so large


@dataclass(frozen=True)
class EvaluatedDetector:
    """What `faces evaluate` found.

    Attributes:
        curve: precision against recall over all pictures.
        images: how many pictures were looked at.
        confidence: the score from which a face is one, outside of this.
        failures: pictures that couldn't be looked at; none of their faces counts as found.
    """

    curve: Curve
    images: int
    confidence: float
    failures: Sequence[tuple[str, EdgeproofError]]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document; `recall` is over all thresholds, `at_confidence` what users of the detector see."""
        precision, recall = self.curve.at(self.confidence)
        return {
            "ap50": self.curve.area(),
            "recall": self.curve.most_recall,
            "images": self.images,
            "faces": self.curve.truths,
            "at_confidence": {"confidence": self.confidence, "precision": precision, "recall": recall},
            "failures": [{"path": name, "error": error.as_json()} for name, error in self.failures],
        }


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


def evaluate_detector(
    boxes: Mapping[str, Boxes],
    images: str | Path,
    detector: FaceDetector,
    *,
    confidence: float | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> EvaluatedDetector:
    """Look for the faces of each picture and compare them with the known boxes.

    Arguments:
        boxes: of each picture, by its name below `images`.
        detector: it should find weak candidates too: open it with a confidence of `LEAST`.
        confidence: the score that users of the detector take for a face; None: the family's own.
        progress: called with how many pictures are done, of how many.

    Raises:
        DataError: there is no folder, no picture that can be looked at, or no box.
        ModelError, EngineError: the detector can't be used.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", hint="--images is the folder that the names are in.")
    _, task = detector.open()

    def one(name: str) -> Found | EdgeproofError:
        try:
            faces = detector.detect(decode(folder / name).pixels)
            return Found(faces.boxes, faces.scores, boxes[name])
        except (ImageError, NotFoundError, StorageError) as error:
            return error

    answers: list[Found | EdgeproofError] = []
    for answer in map_ordered(one, list(boxes), workers=workers):
        answers.append(answer)
        progress(len(answers), len(boxes))
    failures = [
        (name, answer)
        for name, answer in zip(boxes, answers, strict=True)
        if isinstance(answer, EdgeproofError)
    ]
    if len(failures) == len(answers):
        raise DataError(
            f"None of the {len(answers)} pictures can be used. The first: {failures[0][1].message}",
            hint="--images is the folder that the names are in.",
        )
    nothing = np.empty((0, 4), np.float32)
    pictures = [
        Found(nothing, nothing[:, 0], boxes[name]) if isinstance(answer, EdgeproofError) else answer
        for name, answer in zip(boxes, answers, strict=True)
    ]
    usual = task.decoder.confidence if confidence is None else confidence
    return EvaluatedDetector(curves(pictures, (OVERLAP,))[0], len(answers) - len(failures), usual, failures)
