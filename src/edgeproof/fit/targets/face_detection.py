"""Fitting a detector of faces: average precision, or how much of what the original finds is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.protocols import Prepared
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.protocol import PHOTOS_MOST, Answers, Score, Source, View, chosen_photos
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection.open import Wish, task_of
from edgeproof.tasks.face_detection.task import FaceDetectionTask
from edgeproof.verify.agreement import matched_boxes
from edgeproof.verify.average_precision import Found, resampled_area
from edgeproof.verify.face_boxes import Boxes, read_boxes
from edgeproof.verify.resampling import resampled, share

# As `faces evaluate` does: the curve needs weak candidates too.
LEAST = 0.02


class FaceDetectionFit:
    """See `FitTask`.

    Arguments:
        task: the original's.
        data: the folder of photos.
        boxes: of each photo, by its path; None: the original's answers take their place.
    """

    name = FaceDetectionTask.name

    def __init__(self, task: FaceDetectionTask, data: Path, boxes: Mapping[Path, Boxes] | None) -> None:
        self._task, self._data, self._boxes = task, data, boxes
        self._asked = task if boxes is None else replace(task, confidence=LEAST)

    @property
    def method(self) -> str:
        """See `FitTask`."""
        look = (
            "Every photo is looked at once, at the size at which a face detector of edgeproof looks at it. "
        )
        if self._boxes is None:
            return look + (
                "No boxes were given: the metric is the share of faces, the original’s and the candidate’s together, "
                "that both find, overlapping by half or more. Its intervals come from a bootstrap over photos."
            )
        return look + (
            "The metric is the average precision, a face being found where its box overlaps the known one by half. Its "
            "intervals come from a bootstrap over photos, the same resamples for the original and the candidate."
        )

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """Those whose boxes are known."""
        if self._boxes is None:
            return chosen_photos(self._data, chance, most)
        paths = sorted(self._boxes)
        chance.shuffle(paths)
        return paths[: most or PHOTOS_MOST]

    def views(self, photo: Path) -> list[View]:
        """The picture in the network's frame: enlarged, where small faces may be missed."""
        prepared = self._task.prepare(decode(photo).pixels)
        return [View(prepared.tensor, prepared.context)]

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:  # noqa: ARG002
        """With boxes there must be one to find."""
        if self._boxes is not None and not any(len(self._boxes[photo]) for photo in photos):
            raise DataError(
                "There is no box to find in any photo of the evidence.",
                hint="Give photos whose boxes are known.",
            )

    def answer(self, outputs: Mapping[str, Array], view: View) -> FaceDetections:
        """The faces, in the picture's pixels."""
        first = {name: array[0] if array.ndim > 2 else array for name, array in outputs.items()}
        return self._asked.decode(first, Prepared(view.tensor, view.context))

    def score(
        self,
        photos: Sequence[Path],
        views: Sequence[Sequence[View]],  # noqa: ARG002
        answers: Answers,
        reference: Answers,
    ) -> list[Score]:
        """Average precision with boxes, else matched faces."""
        weights = resampled(len(photos))
        found, original = ([self._sure(row[0]) for row in rows] for rows in (answers, reference))
        both = [matched_boxes(one, other) for one, other in zip(found, original, strict=True)]
        all_of = [len(one) + len(other) for one, other in zip(found, original, strict=True)]
        matched = share(2 * np.array(both), all_of, weights)
        if self._boxes is None:
            if not sum(map(len, original)):
                raise DataError(
                    "The original finds no face in these photos, so nothing can be compared.",
                    hint="Give photos of people.",
                )
            return [Score("matched faces", "photos", len(photos), resampled=matched)]
        pictures = [
            Found(row[0].boxes, row[0].scores, self._boxes[photo])
            for row, photo in zip(answers, photos, strict=True)
        ]
        precision = resampled_area(pictures, weights)
        return [Score("ap50", "photos", len(photos), resampled=precision, agreement=float(matched[0]))]

    def _sure(self, found: FaceDetections) -> Boxes:
        """What users of the detector see."""
        least = self._task.confidence or self._task.decoder.confidence
        sure: Boxes = found.boxes[found.scores >= np.float32(least)]
        return sure

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:  # noqa: ARG002
        """The original's."""
        return self._task.settings()

    def close(self) -> None:
        """Nothing is open."""


def open_face_detection(source: Source) -> FaceDetectionFit:
    """A detector of faces.

    Raises:
        ModelError: no decoder fits it.
        DataError, NotFoundError, StorageError: boxes that can't be read.
    """
    task = task_of(source.network, Wish(source.network.file))
    boxes = None
    if source.labels is not None:
        boxes = {source.data / name: rows for name, rows in read_boxes(source.labels).items()}
    return FaceDetectionFit(task, source.data, boxes)
