"""How well faces are found, on pictures whose boxes are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError, EdgeproofError, ImageError, NotFoundError, StorageError
from edgeproof.imaging.decode import decode
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.verify.average_precision import Curve, Found, curves
from edgeproof.verify.face_boxes import Boxes

# The curve needs weak candidates too: the average precision is over all thresholds.
LEAST = 0.02
OVERLAP = 0.5


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
