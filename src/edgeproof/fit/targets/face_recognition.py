"""Fitting a face recognition network: how right pairs are told, or how alike its vectors are to the original's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError, ModelError, NoFaceError
from edgeproof.core.faces import Floats
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.protocol import Answers, Score, Source, View, chosen_photos
from edgeproof.imaging.align import align_faces, usable
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.tasks.face_recognition_task import (
    FaceRecognitionTask,
    embedding_output,
    takes_face,
    unit_vectors,
)
from edgeproof.verify.pairs import Pair, most_central, read_pairs
from edgeproof.verify.resampling import resampled, share
from edgeproof.verify.verification import right_by_folds

# A pair needs two photos, and accuracies near 1 many pairs.
PAIRED_MOST = 2000
_FACES_MOST = 8  # of a photo


class FaceRecognitionFit:
    """See `FitTask`.

    Arguments:
        task: the original's.
        output: the name of the embedding among the outputs.
        channels_last: as the network takes its input.
        data: the folder of photos.
        pairs: with known answers; None: the original's vectors take their place.
        detector: open.
    """

    name = FaceRecognitionTask.name

    def __init__(
        self,
        task: FaceRecognitionTask,
        output: str,
        data: Path,
        pairs: Sequence[Pair] | None,
        detector: FaceDetector,
        *,
        channels_last: bool,
    ) -> None:
        self._task, self._output, self._channels_last = task, output, channels_last
        self._data, self._pairs, self._detector = data, pairs, detector

    @property
    def method(self) -> str:
        """See `FitTask`."""
        if self._pairs is None:
            return (
                "Faces were found and aligned in the photos. No pairs were given: the metric is the cosine of a "
                "face’s vector with the original’s of that face. Its intervals come from a bootstrap over photos."
            )
        return (
            "The most central face of each photo was aligned. The metric is how often a pair is told right, one person "
            "or two, at the threshold that is best on all other folds (as the protocol of LFW has it), each network at "
            "its own. Pairs that share a photo are not independent, and the intervals allow for that."
        )

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """With pairs, those of pairs that are drawn by chance."""
        if self._pairs is None:
            return chosen_photos(self._data, chance, most)
        found: dict[Path, None] = {}
        for pair in chance.sample(self._pairs, len(self._pairs)):
            if len(found) >= (most or PAIRED_MOST):
                break
            found |= {self._data / pair.a: None, self._data / pair.b: None}
        return list(found)

    def views(self, photo: Path) -> list[View]:
        """Each face, aligned; of a photo of a pair the most central one."""
        pixels = decode(photo).pixels
        found = self._detector.detect(pixels)
        if len(found) and self._pairs is not None:
            found = found.take(np.array([most_central(found, pixels.shape[1], pixels.shape[0])]))
        if found.landmarks is None and len(found):
            raise ModelError(
                "The detector gives no landmarks, without which faces can't be aligned.",
                hint="Use one that does, such as yunet.",
            )
        marks = None if found.landmarks is None else found.landmarks[usable(found.landmarks)][:_FACES_MOST]
        if marks is None or not len(marks):
            raise NoFaceError(f"There is no face in {photo}.", hint="Give photos of people.")
        crops = align_faces(pixels, marks, self._task.side)
        return [View(tensor) for tensor in self._task.prepare_all(crops, channels_last=self._channels_last)]

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:  # noqa: ARG002
        """With pairs there must be some of both kinds."""
        known = self._known(photos)
        if self._pairs is not None and len({pair.same for pair, _, _ in known}) < 2:
            raise DataError(
                f"Of the pairs {len(known)} are left as evidence, not of both kinds.",
                hint="Pairs need a face in both photos, and neither may calibrate: give more pairs.",
            )

    def _known(self, photos: Sequence[Path]) -> list[tuple[Pair, int, int]]:
        """The pairs of which both photos are evidence, with the photos' places."""
        place = {photo: number for number, photo in enumerate(photos)}
        both = ((pair, self._data / pair.a, self._data / pair.b) for pair in self._pairs or ())
        return [(pair, place[a], place[b]) for pair, a, b in both if a in place and b in place]

    def answer(self, outputs: Mapping[str, Array], view: View) -> Floats:  # noqa: ARG002
        """The vector, of length 1."""
        vector: Floats = unit_vectors(np.asarray(outputs[self._output], np.float32).reshape(1, -1))[0]
        return vector

    def score(
        self,
        photos: Sequence[Path],
        views: Sequence[Sequence[View]],  # noqa: ARG002
        answers: Answers,
        reference: Answers,
    ) -> list[Score]:
        """Pairs told right, else the cosine with the original."""
        alike = [
            float(np.mean([np.clip(a @ b, 0.0, 1.0) for a, b in zip(one, other, strict=True)]))
            for one, other in zip(answers, reference, strict=True)
        ]
        faces = np.array([len(row) for row in answers])
        cosine = share(np.array(alike) * faces, faces, resampled(len(photos)))
        if self._pairs is None:
            return [Score("cosine with the original", "photos", len(photos), resampled=cosine)]
        known = self._known(photos)
        right = right_by_folds(
            [float(answers[a][0] @ answers[b][0]) for _, a, b in known],
            [pair.same for pair, _, _ in known],
            [pair.fold for pair, _, _ in known],
        )
        return [
            Score(
                "accuracy on pairs",
                "pairs",
                len(known),
                views=right.astype(np.float64)[:, None],
                members=np.array([(a, b) for _, a, b in known], np.intp),
                agreement=float(cosine[0]),
            )
        ]

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:  # noqa: ARG002
        """The original's."""
        return self._task.settings()

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()


def open_face_recognition(source: Source) -> FaceRecognitionFit:
    """A face recognition network, and what finds the faces for it.

    Raises:
        ModelError: it isn't one.
        ModelMissingError: the detector is not installed.
        DataError, NotFoundError, StorageError: pairs that can't be read.
    """
    engine = source.network.engine
    task = FaceRecognitionTask.from_settings(source.network.settings)
    task.check(engine.inputs, engine.outputs)
    output = embedding_output(engine.outputs)
    assert output is not None
    pairs = None if source.labels is None else read_pairs(source.labels)
    detector = FaceDetector(source.detector)
    detector.open()
    last = not takes_face(engine.inputs[0], (3, task.side, task.side))
    return FaceRecognitionFit(task, output.name, source.data, pairs, detector, channels_last=last)
