"""Fitting an orientation network: photos that stand upright label themselves by being turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgeproof.core.softmax import softmax
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.protocol import Answers, Score, Source, View, chosen_photos, no_labels
from edgeproof.imaging.decode import decode
from edgeproof.tasks.orientation import OrientationTask
from edgeproof.verify.calibration import match_temperature


class OrientationFit:
    """See `FitTask`.

    Arguments:
        task: the original's.
        data: the folder of photos.
    """

    name = OrientationTask.name
    method = (
        "Every photo stands upright and is seen in all four turns; the metric is how often the turn is told right. The "
        "views of one photo are not independent, and the intervals allow for that."
    )

    def __init__(self, task: OrientationTask, data: Path) -> None:
        self._task, self._data = task, data

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """See `FitTask`."""
        return chosen_photos(self._data, chance, most)

    def views(self, photo: Path) -> list[View]:
        """All four turns."""
        pixels = decode(photo, cover=self._task.cover).pixels
        return [View(example.tensor, example.truth) for example in self._task.examples(pixels)]

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:
        """Any photo tells something."""

    def answer(self, outputs: Mapping[str, Array], view: View) -> Array:  # noqa: ARG002
        """The logits."""
        return np.asarray(next(iter(outputs.values()))[0], np.float32)

    def score(
        self,
        photos: Sequence[Path],
        views: Sequence[Sequence[View]],
        answers: Answers,
        reference: Answers,
    ) -> list[Score]:
        """Right and wrong, four views a photo."""
        told, original = (np.array(rows).argmax(axis=2) for rows in (answers, reference))
        truth = np.array([[view.context for view in row] for row in views])
        right = np.asarray(told == truth, np.float64)
        return [
            Score("accuracy", "photos", len(photos), views=right, agreement=float((told == original).mean()))
        ]

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:
        """With the temperature at which the network is as confident as the original.

        The original's calibration was fitted on far more photos than are here, so its probabilities are the target,
        not these photos' labels.
        """
        settings = self._task.settings()
        if reference is not answers:
            wanted = softmax(np.stack(reference), settings["temperature"])
            settings["temperature"] = round(match_temperature(np.stack(answers), wanted), 4)
        return settings

    def close(self) -> None:
        """Nothing is open."""


def open_orientation(source: Source) -> OrientationFit:
    """An orientation network.

    Raises:
        ModelError: it isn't one.
        UsageError: labels were given.
    """
    no_labels(source, "orientation", "Its photos stand upright, and are labelled by being turned.")
    task, engine = OrientationTask(), source.network.engine
    task.check(engine.inputs, engine.outputs)
    return OrientationFit(task, source.data)
