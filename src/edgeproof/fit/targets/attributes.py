"""Fitting a network for age and gender: how right it is on labelled crops, or how often it answers as the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, NoFaceError
from edgeproof.core.softmax import softmax
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.protocol import PHOTOS_MOST, Answers, Score, Source, View, chosen_photos
from edgeproof.imaging.crop import square_crops
from edgeproof.imaging.decode import decode
from edgeproof.tasks.attributes.estimate import bucket_of
from edgeproof.tasks.attributes.fairface import FairFace
from edgeproof.tasks.attributes.family import GENDERS, Family
from edgeproof.tasks.attributes.labels import LabelledFace, bucket_number, central_crop, read_labels
from edgeproof.tasks.attributes.recognise import recognise
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.verify.calibration import match_temperature
from edgeproof.verify.resampling import resampled, share

_FACES_MOST = 8  # of a photo
_LABELS = ("age", "gender")


class AttributesFit:
    """See `FitTask`.

    Arguments:
        family: the original's.
        data: the folder of photos, or of crops.
        faces: the crops with known answers, by path; None: the original's answers take their place.
        detector: open; None where there are crops.
    """

    name = "attributes"

    def __init__(
        self,
        family: Family,
        data: Path,
        faces: Mapping[Path, LabelledFace] | None,
        detector: FaceDetector | None,
    ) -> None:
        self._family, self._data, self._faces, self._detector = family, data, faces, detector

    @property
    def method(self) -> str:
        """See `FitTask`."""
        both = "Where a network tells both, age and gender are judged each on its own, and the worse one counts. "
        if self._faces is None:
            return (
                "Faces were found in the photos. No table was given: the metric is how often a face gets the same age "
                f"group, or gender, as from the original. {both}The intervals come from a bootstrap over photos."
            )
        return (
            "The metric is how often a face’s age group, or its gender, is told right. "
            f"{both}Right and wrong are compared face by face (McNemar’s exact test)."
        )

    def photos(self, chance: Random, most: int | None) -> list[Path]:
        """With a table, the crops in it."""
        if self._faces is None:
            return chosen_photos(self._data, chance, most)
        paths = sorted(self._faces)
        chance.shuffle(paths)
        return paths[: most or PHOTOS_MOST]

    def views(self, photo: Path) -> list[View]:
        """The crop, or each face that is found."""
        pixels = decode(photo).pixels
        if self._faces is not None:
            face = self._faces[photo]
            age = bucket_number(face.age, self._family.buckets)
            gender = GENDERS.index(face.gender) if face.gender else None
            return [View(self._family.prepare(central_crop(pixels, self._family))[0], (age, gender))]
        assert self._detector is not None
        boxes = self._detector.detect(pixels).boxes[:_FACES_MOST]
        if not len(boxes):
            raise NoFaceError(f"There is no face in {photo}.", hint="Give photos of people.")
        crops = square_crops(pixels, boxes, self._family.side, grow=self._family.grow)
        return [View(tensor) for tensor in self._family.prepare(crops)]

    def check(self, photos: Sequence[Path], views: Sequence[Sequence[View]]) -> None:  # noqa: ARG002
        """With a table there must be an answer of a kind that the network gives."""
        tells = (self._family.tells_age, self._family.tells_gender)
        truths = [row[0].context or (None, None) for row in views]
        known = (
            told and any(truth[place] is not None for truth in truths) for place, told in enumerate(tells)
        )
        if self._faces is not None and not any(known):
            raise DataError(
                "The table has no answer of a kind that this network gives.",
                hint="It needs ages for a network that tells ages, genders for one that tells genders.",
            )

    def answer(self, outputs: Mapping[str, Array], view: View) -> dict[str, Array]:  # noqa: ARG002
        """The outputs as they are: a few numbers."""
        kept: dict[str, Array] = {
            name: np.asarray(array, np.float32).reshape(1, -1) for name, array in outputs.items()
        }
        self._family.read(kept)
        return kept

    def score(
        self,
        photos: Sequence[Path],
        views: Sequence[Sequence[View]],
        answers: Answers,
        reference: Answers,
    ) -> list[Score]:
        """Right and wrong with a table, else the same as the original."""
        told, original = (self._told([one for row in rows for one in row]) for rows in (answers, reference))
        scores = []
        for place, label in enumerate(_LABELS):
            if label not in told:
                continue
            same = told[label] == original[label]
            if self._faces is None:
                counts = [len(row) for row in answers]
                starts = np.cumsum([0, *counts[:-1]])
                figure = share(np.add.reduceat(same.astype(float), starts), counts, resampled(len(photos)))
                scores.append(Score(f"same {label}", "photos", len(photos), resampled=figure))
                continue
            truth = [row[0].context[place] for row in views]
            known = np.array([one is not None for one in truth])
            if not known.any():
                continue
            right = told[label][known] == np.array([one for one in truth if one is not None])
            scores.append(
                Score(
                    f"{label} right",
                    "faces",
                    int(known.sum()),
                    views=right.astype(np.float64)[:, None],
                    agreement=float(same.mean()),
                )
            )
        return scores

    def _told(self, outputs: Sequence[Mapping[str, Array]]) -> dict[str, NDArray[np.intp]]:
        """The number of the age group and of the gender of each face, of those that the network tells."""
        said = self._family.read(_stacked(outputs))
        told: dict[str, NDArray[np.intp]] = {}
        if said.age is not None:
            told["age"] = said.age.argmax(axis=1)
        elif said.years is not None:
            buckets = self._family.buckets
            told["age"] = np.array([buckets.index(bucket_of(years, buckets)) for years in said.years])
        if said.gender is not None:
            told["gender"] = said.gender.argmax(axis=1)
        return told

    def settings(self, reference: Sequence[Any], answers: Sequence[Any]) -> dict[str, float]:
        """With the temperatures at which the network is as confident as the original (see `OrientationFit`)."""
        settings, family = self._family.settings(), self._family
        if reference is not answers and isinstance(family, FairFace):
            before, after = _stacked(reference), _stacked(answers)
            for key, output in (("age_temperature", family.age), ("gender_temperature", family.gender)):
                wanted = softmax(before[output], settings[key])
                settings[key] = round(match_temperature(after[output], wanted), 4)
        return settings

    def close(self) -> None:
        """Free the detector."""
        if self._detector is not None:
            self._detector.close()


def _stacked(outputs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}


def open_attributes(source: Source) -> AttributesFit:
    """A network for age, gender or both, and what finds faces for it where no crops are given.

    Raises:
        ModelError: it isn't one.
        ModelMissingError: the detector is not installed.
        DataError, NotFoundError, StorageError: a table that can't be read, or ages that the network doesn't tell.
    """
    engine = source.network.engine
    family = recognise(engine.inputs, engine.outputs).with_settings(source.network.settings)
    if source.labels is not None:
        faces = {source.data / face.file: face for face in read_labels(source.labels)}
        for face in faces.values():
            bucket_number(face.age, family.buckets)
        return AttributesFit(family, source.data, faces, None)
    detector = FaceDetector(source.detector)
    detector.open()
    return AttributesFit(family, source.data, None, detector)
