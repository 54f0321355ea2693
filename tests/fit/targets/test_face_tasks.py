"""Fitting detectors of faces, face recognition, and age and gender: what their answers are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import DataError, ModelError, NoFaceError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.tensor import Array
from edgeproof.fit.targets.attributes import AttributesFit
from edgeproof.fit.targets.face_detection import FaceDetectionFit
from edgeproof.fit.targets.face_recognition import FaceRecognitionFit
from edgeproof.fit.targets.protocol import View
from edgeproof.tasks.attributes.fairface import FairFace
from edgeproof.tasks.attributes.labels import LabelledFace
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.tasks.face_detection.task import FaceDetectionTask
from edgeproof.tasks.face_recognition_task import FaceRecognitionTask
from edgeproof.verify.pairs import Pair

MARKS = np.array([[40, 45], [60, 45], [50, 55], [42, 68], [58, 68]], np.float32)


def faces(*scores: float, at: float = 0.0, marks: bool = True) -> FaceDetections:
    boxes = np.array([[30 + at + 100 * i, 30, 70 + at + 100 * i, 80] for i in range(len(scores))], np.float32)
    points = (
        np.stack([MARKS + np.array([100 * i, 0]) for i in range(len(scores))])
        if scores
        else np.empty((0, 5, 2))
    )
    return FaceDetections(
        boxes.reshape(-1, 4), np.array(scores, np.float32), points.astype(np.float32) if marks else None
    )


def detector(found: FaceDetections) -> FaceDetector:
    return cast(FaceDetector, SimpleNamespace(detect=lambda _pixels: found, close=lambda: None))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 255, (120, 240, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


class TestFaceDetection:
    def test_with_boxes_it_is_average_precision(self, photos: list[Path]) -> None:
        boxes = {photo: faces(0.9).boxes for photo in photos}
        task = FaceDetectionFit(FaceDetectionTask(), photos[0].parent, boxes)
        right = [[faces(0.9)]] * 8
        (score,) = task.score(photos, [], right, right)
        assert (score.name, score.value, score.count) == ("ap50", 1.0, 8)
        (worse,) = task.score(photos, [], [[faces(0.9)]] * 6 + [[faces()]] * 2, right)
        assert worse.value == pytest.approx(0.75)
        (aside,) = task.score(photos, [], [[faces(0.9, at=40)]] * 8, right)
        assert (aside.value, aside.agreement) == (0.0, 0.0)

    def test_without_boxes_it_is_what_both_find(self, photos: list[Path]) -> None:
        task = FaceDetectionFit(FaceDetectionTask(), photos[0].parent, None)
        two = [[faces(0.9, 0.8)]] * 8
        assert [one.value for one in task.score(photos, [], two, two)] == [1.0]
        (score,) = task.score(photos, [], [[faces(0.9)]] * 8, two)
        assert (score.name, score.value) == ("matched faces", pytest.approx(2 / 3))
        with pytest.raises(DataError, match="finds no face"):
            task.score(photos, [], two, [[faces()]] * 8)

    def test_only_photos_with_boxes_are_read(self, photos: list[Path]) -> None:
        task = FaceDetectionFit(FaceDetectionTask(), photos[0].parent, {photos[2]: faces(0.9).boxes})
        assert task.photos(Random(0), None) == [photos[2]]

    def test_photos_without_a_box_tell_nothing(self, photos: list[Path]) -> None:
        none = {photo: faces().boxes for photo in photos}
        with pytest.raises(DataError, match="no box to find"):
            FaceDetectionFit(FaceDetectionTask(), photos[0].parent, none).check(photos, [])

    def test_a_view_has_the_size_that_the_detector_would_use(self, photos: list[Path]) -> None:
        (view,) = FaceDetectionFit(FaceDetectionTask(), photos[0].parent, None).views(photos[0])
        assert view.tensor.shape == (3, 256, 480)  # twice the picture, up to the stride


class TestFaceRecognition:
    def open(
        self, photos: list[Path], pairs: Sequence[Pair] | None, found: FaceDetections
    ) -> FaceRecognitionFit:
        return FaceRecognitionFit(
            FaceRecognitionTask(), "y", photos[0].parent, pairs, detector(found), channels_last=False
        )

    def test_pairs_are_told_right_or_wrong(self, photos: list[Path]) -> None:
        names = [photo.name for photo in photos]
        pairs = [
            Pair(str(fold), names[4 * fold + i], names[4 * fold + i + 1], same)
            for fold in range(2)
            for i, same in ((0, True), (1, False), (2, True))
        ]
        task = self.open(photos, pairs, faces(0.9))
        person = {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 5: 0, 6: 1, 7: 1}
        right = [[np.eye(4, dtype=np.float32)[person[number]]] for number in range(8)]
        (score,) = task.score(photos, [], right, right)
        assert (score.name, score.unit, score.count, score.value) == ("accuracy on pairs", "pairs", 6, 1.0)
        assert score.members is not None
        assert score.members.tolist() == [[0, 1], [1, 2], [2, 3], [4, 5], [5, 6], [6, 7]]
        wrong = [*right[:1], right[2], *right[2:]]  # photo 1 looks like the other person
        (worse,) = task.score(photos, [], wrong, right)
        assert worse.views is not None
        assert worse.views.ravel().tolist()[:3] == [0, 0, 1]
        assert worse.agreement == pytest.approx(7 / 8)
        # Photos that calibrate take their pairs with them.
        (fewer,) = task.score(photos[1:], [], right[1:], right[1:])
        assert fewer.count == 5
        with pytest.raises(DataError, match="not of both kinds"):
            task.check(photos[:2], [])

    def test_without_pairs_it_is_the_cosine(self, photos: list[Path]) -> None:
        task = self.open(photos, None, faces(0.9, 0.8))
        before = [[np.array([1, 0], np.float32)] * 2] * 8
        turned = np.array([0.8, 0.6], np.float32)
        (score,) = task.score(photos, [], [[turned, before[0][0]]] * 8, before)
        assert (score.name, score.value) == ("cosine with the original", pytest.approx(0.9))

    def test_every_face_is_a_view_but_of_a_pair_the_central_one(self, photos: list[Path]) -> None:
        found = faces(0.9, 0.8)
        views = self.open(photos, None, found).views(photos[0])
        assert [view.tensor.shape for view in views] == [(3, 112, 112)] * 2
        (central,) = self.open(photos, [Pair("", "0.png", "1.png", True)], found).views(photos[0])
        assert (central.tensor == views[1].tensor).all()  # of 30..70 and 130..170 in 240 the second

    @pytest.mark.parametrize(
        ("found", "error", "says"),
        [(faces(), NoFaceError, "no face"), (faces(0.9, marks=False), ModelError, "no landmarks")],
    )
    def test_photos_that_show_nothing(
        self, photos: list[Path], found: FaceDetections, error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            self.open(photos, None, found).views(photos[0])

    def test_photos_come_from_pairs_drawn_by_chance(self, photos: list[Path]) -> None:
        pairs = [Pair("", photos[i].name, photos[i + 1].name, True) for i in range(0, 8, 2)]
        task = self.open(photos, pairs, faces(0.9))
        assert sorted(task.photos(Random(0), None)) == photos
        two = task.photos(Random(1), 2)
        assert len(two) == 2
        assert any({photos[i], photos[i + 1]} == set(two) for i in range(0, 8, 2))


def answered(age: int, gender: int, sure: float = 6.0) -> dict[str, Array]:
    outputs: dict[str, Array] = {"age": np.zeros((1, 9), np.float32), "gender": np.zeros((1, 2), np.float32)}
    outputs["age"][0, age] = outputs["gender"][0, gender] = sure
    return outputs


class TestAttributes:
    def labelled(self, photos: list[Path], ages: Sequence[str]) -> AttributesFit:
        table = {
            photo: LabelledFace(photo.name, age, "Female", 2) for photo, age in zip(photos, ages, strict=True)
        }
        return AttributesFit(FairFace(), photos[0].parent, table, None)

    def test_ages_and_genders_are_judged_each(self, photos: list[Path]) -> None:
        task = self.labelled(photos, ["25"] * 6 + [""] * 2)
        views = [task.views(photo) for photo in photos]
        assert views[0][0].tensor.shape == (3, 112, 112)
        right = [[answered(3, 1)]] * 8
        age, gender = task.score(photos, views, [[answered(4, 1)], *right[1:]], right)
        assert (age.name, age.unit, age.count, age.value) == ("age right", "faces", 6, pytest.approx(5 / 6))
        assert (gender.name, gender.count, gender.value) == ("gender right", 8, 1.0)
        assert age.agreement == pytest.approx(7 / 8)

    def test_without_a_table_it_is_the_same_answer(self, photos: list[Path]) -> None:
        task = AttributesFit(FairFace(), photos[0].parent, None, detector(faces(0.9, 0.8)))
        views = task.views(photos[0])
        assert len(views) == 2
        before = [[answered(3, 1)] * 2] * 8
        age, gender = task.score(photos, [views] * 8, [[answered(3, 0), answered(2, 1)]] * 8, before)
        assert (age.name, age.value, age.unit) == ("same age", 0.5, "photos")
        assert (gender.name, gender.value) == ("same gender", 0.5)

    def test_a_bundle_is_as_sure_as_the_original(self, photos: list[Path]) -> None:
        task = AttributesFit(FairFace(), photos[0].parent, None, None)
        before: list[Mapping[str, Any]] = [answered(age, age % 2) for age in range(8)]
        twice = [{name: 2 * array for name, array in one.items()} for one in before]
        assert task.settings(before, before) == FairFace().settings()
        kept = task.settings(before, twice)
        assert kept["age_temperature"] == pytest.approx(2 * FairFace().age_temperature, rel=0.02)
        assert kept["gender_temperature"] == pytest.approx(2 * FairFace().gender_temperature, rel=0.02)

    def test_a_table_without_answers_tells_nothing(self, photos: list[Path]) -> None:
        table = {photo: LabelledFace(photo.name, "", "", 2) for photo in photos}
        task = AttributesFit(FairFace(), photos[0].parent, table, None)
        views: list[list[View]] = [task.views(photo) for photo in photos]
        with pytest.raises(DataError, match="no answer of a kind"):
            task.check(photos, views)
