"""Fitting a detector of objects: COCO's mean average precision, or how much of what the original finds is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgeproof.core.detections import Detections
from edgeproof.core.errors import DataError
from edgeproof.core.protocols import Prepared
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.protocol import PHOTOS_MOST, Answers, Score, Source, View, chosen_photos
from edgeproof.imaging.decode import decode
from edgeproof.tasks.detection import DetectionTask
from edgeproof.tasks.detection.open import Wish, task_of
from edgeproof.verify.agreement import matched_boxes
from edgeproof.verify.mean_average_precision import Answered, Truth, resampled_map
from edgeproof.verify.object_labels import ObjectLabels, check_classes, open_labels
from edgeproof.verify.resampling import resampled, share

# As `detect evaluate` does: the curve needs weak candidates too, and every box.
LEAST, OVERLAP = 0.001, 0.65


class DetectFit:
    """See `FitTask`.

    Arguments:
        task: the original's.
        data: the folder of photos.
        labels: of them; None: the original's answers take their place.
    """

    name = DetectionTask.name

    def __init__(self, task: DetectionTask, data: Path, labels: ObjectLabels | None) -> None:
        self._task, self._data, self._labels = task, data, labels
        self._asked = task if labels is None else replace(task, confidence=LEAST, iou=OVERLAP)

    @property
    def method(self) -> str:
        """See `FitTask`."""
        if self._labels is None:
            return (
                "No labels were given. The metric is the share of detections, the original’s and the candidate’s "
                "together, that both have: of the same class, overlapping by half or more. Its intervals come from a "
                "bootstrap over photos."
            )
        return (
            "The metric is COCO’s mean average precision, over classes and overlaps of 0.5 to 0.95. Its intervals come "
            "from a bootstrap over photos, the same resamples for the original and the candidate."
        )

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """Those that the labels know."""
        paths = chosen_photos(self._data, chance, 1 << 30)
        if self._labels is not None:
            paths = [path for path in paths if self._labels.know(path)]
        return paths[: most or PHOTOS_MOST]

    def views(self, photo: Path) -> list[View]:
        """The picture in the network's frame."""
        pixels = decode(photo).pixels
        truth = None
        if self._labels is not None:
            truth = self._labels.truth(photo, pixels.shape[1], pixels.shape[0])
            check_classes([truth], self._task.decoder.classes)
        prepared = self._task.prepare(pixels)
        return [View(prepared.tensor, (prepared.context, truth))]

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:  # noqa: ARG002
        """With labels there must be a box to find."""
        if self._labels is not None and not any(len(row[0].context[1].classes) for row in views):
            raise DataError(
                f"The labels at {self._labels.path} have no box for any photo of the evidence.",
                hint="Their names are those of the photos, with .txt; check both folders.",
            )

    def answer(self, outputs: Mapping[str, Array], view: View) -> Detections:
        """The objects, in the picture's pixels."""
        place, _ = view.context
        first = {name: array[0] if array.ndim > 2 else array for name, array in outputs.items()}
        found = self._asked.decode(first, Prepared(view.tensor, place))
        return Detections(found.xyxy, found.confidence, found.class_id)

    def score(
        self,
        photos: Sequence[Path],
        views: Sequence[Sequence[View]],
        answers: Answers,
        reference: Answers,
    ) -> list[Score]:
        """Average precision with labels, else matched detections."""
        weights = resampled(len(photos))
        found = [self._sure(row[0]) for row in answers]
        original = [self._sure(row[0]) for row in reference]
        both = [_matched(one, other) for one, other in zip(found, original, strict=True)]
        all_of = [
            len(one.confidence) + len(other.confidence) for one, other in zip(found, original, strict=True)
        ]
        matched = share(2 * np.array(both), all_of, weights)
        if self._labels is None:
            if not sum(len(one.confidence) for one in original):
                raise DataError(
                    "The original finds nothing in these photos, so nothing can be compared.",
                    hint="Give photos of what it was trained to find.",
                )
            return [Score("matched detections", "photos", len(photos), resampled=matched)]
        pictures = [_answered(row[0], view[0].context[1]) for row, view in zip(answers, views, strict=True)]
        precision = resampled_map(pictures, weights)
        return [Score("map", "photos", len(photos), resampled=precision, agreement=float(matched[0]))]

    def _sure(self, found: Detections) -> Detections:
        """What users of the detector see."""
        kept = found.confidence >= np.float32(self._task.least)
        return Detections(found.xyxy[kept], found.confidence[kept], found.class_id[kept])

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:  # noqa: ARG002
        """The original's."""
        return self._task.settings()

    def close(self) -> None:
        """Nothing is open."""


def _matched(one: Detections, other: Detections) -> int:
    return matched_boxes(one.xyxy, other.xyxy, one.class_id, other.class_id)


def _answered(found: Detections, truth: Truth) -> Answered:
    return Answered(found.xyxy, found.confidence, found.class_id, truth)


def open_detect(source: Source) -> DetectFit:
    """A detector of objects.

    Raises:
        ModelError: no decoder fits it.
        DataError, StorageError: labels that can't be read.
    """
    task = task_of(source.network, Wish(source.network.file))
    labels = None if source.labels is None else open_labels(source.labels, source.data, task.names)
    return DetectFit(task, source.data, labels)
