"""Each decoder gives back the faces that a network of its family would answer, and refuses what can't be."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import InputError, ModelError, UnknownNameError
from edgeproof.core.protocols import Prepared
from edgeproof.core.tensor import TensorSpec
from edgeproof.imaging.letterbox import Letterbox
from edgeproof.tasks.face_detection import FaceDetectionTask
from edgeproof.tasks.face_detection.recognise import recognise
from edgeproof.tasks.face_detection.retinaface import SLIM, SMALL, USUAL
from tasks.face_detection import encode

CASES = {
    "yunet": (encode.yunet(), None),
    "retinaface": (encode.retinaface(USUAL), None),
    "retinaface, published names": (encode.retinaface(USUAL, ("output0", "590", "591")), None),
    "retinaface, slim": (encode.retinaface(SLIM), None),
    "retinaface-1mb": (encode.retinaface(SMALL), "retinaface-1mb"),
    "scrfd, 1 anchor": (encode.scrfd(1, landmarks=True), None),
    "scrfd, 2 anchors": (encode.scrfd(2, landmarks=True), None),
    "scrfd, no landmarks": (encode.scrfd(2, landmarks=False), None),
    "scrfd, 5 strides": (encode.scrfd(1, landmarks=True, strides=(8, 16, 32, 64, 128)), None),
    "scrfd, 5 strides, no landmarks": (encode.scrfd(1, landmarks=False, strides=(8, 16, 32, 64, 128)), None),
    "ultraface": (encode.ultraface(), None),
    "ssd": (encode.ssd(), None),
}


def _task(name: str, **settings: float) -> tuple[FaceDetectionTask, dict[str, np.ndarray], Prepared]:
    (answer, specs), asked = CASES[name]
    task = FaceDetectionTask(recognise(specs, asked), **settings)
    width, height = encode.SIZE
    # The picture is twice as large as what the network saw.
    place = Letterbox((0.5, 0.5), (2 * width, 2 * height))
    prepared = Prepared(np.zeros((3, height, width), np.float32), place)
    return task, {key: array.copy() for key, array in answer.items()}, prepared


@pytest.mark.parametrize("name", CASES)
def test_faces_come_back_in_the_pixels_of_the_picture(name: str) -> None:
    task, answer, prepared = _task(name)
    assert task.decoder.name == name.partition(",")[0]
    found = task.decode(answer, prepared)
    assert np.allclose(found.boxes, 2 * encode.BOXES, atol=0.02)
    assert np.allclose(found.scores, encode.SCORES, atol=1e-4)
    if found.landmarks is not None:
        assert np.allclose(found.landmarks, 2 * encode.MARKS, atol=0.02)
    assert (found.landmarks is None) == (name.endswith("no landmarks") or name in ("ultraface", "ssd"))


@pytest.mark.parametrize("name", CASES)
def test_only_scores_of_the_confidence_and_above_are_faces(name: str) -> None:
    task, answer, prepared = _task(name, confidence=0.75)
    assert len(task.decode(answer, prepared)) == 2
    task, answer, prepared = _task(name, confidence=0.95)
    assert len(task.decode(answer, prepared)) == 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(name: str, value: float) -> None:
    task, answer, prepared = _task(name)
    for key in answer:
        broken = {**answer, key: answer[key].copy()}
        broken[key][..., -1] = value
        if key in ("443", "444", "448", "449", "453", "454") and "5 strides" in name:
            continue  # no face there, so that nobody looks
        if name == "yunet" and key[:3] in ("cls", "obj") and abs(value) == np.inf:
            continue  # clipped to 0..1 as its own code does
        with pytest.raises(InputError, match="not finite") as caught:
            task.decode(broken, prepared)
        assert caught.value.hint


@pytest.mark.parametrize("name", sorted(set(CASES) - {"ultraface", "ssd"}))
def test_answers_for_another_size_are_refused(name: str) -> None:
    task, answer, prepared = _task(name)
    other = Prepared(np.zeros((3, 96, 96), np.float32), prepared.context)
    with pytest.raises(InputError, match="answers for 96 x 96"):
        task.decode(answer, other)


def test_the_caffe_form_of_ultraface_has_offsets() -> None:
    answer, _ = encode.retinaface(SLIM)
    named = {"scores": answer["confidence"], "boxes": answer["bbox"]}
    specs = [TensorSpec(key, (1, "rows", array.shape[-1]), "float32") for key, array in named.items()]
    task = FaceDetectionTask(recognise(specs, "ultraface-offsets"))
    _, _, prepared = _task("ultraface")
    assert np.allclose(task.decode(named, prepared).boxes, 2 * encode.BOXES, atol=0.02)


def test_a_network_that_is_no_detector_is_told_what_is_expected() -> None:
    with pytest.raises(ModelError, match=r"logits float32\[1, 1000\]") as caught:
        recognise([TensorSpec("logits", (1, 1000), "float32")])
    for family in ("yunet", "retinaface", "scrfd", "ultraface", "ssd"):
        assert family in caught.value.hint


def test_a_decoder_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="cls_8") as caught:
        recognise(CASES["yunet"][0][1], "scrfd")
    assert "6, 9, 10 or 15" in caught.value.hint


def test_a_decoder_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="yunett") as caught:
        recognise([], "yunett")
    assert "yunet" in caught.value.hint


def test_five_thousand_of_many_candidates_are_looked_at() -> None:
    width, height = encode.SIZE
    boxes = np.tile(np.float32([[0, 0, 1, 1]]), (9000, 1))
    scores = np.stack([1 - np.linspace(0.5, 1, 9000), np.linspace(0.5, 1, 9000)], axis=1).astype(np.float32)
    specs = [TensorSpec("scores", (1, 9000, 2), "float32"), TensorSpec("boxes", (1, 9000, 4), "float32")]
    task = FaceDetectionTask(recognise(specs))
    prepared = Prepared(np.zeros((3, height, width), np.float32), Letterbox((1.0, 1.0), encode.SIZE))
    found = task.decode({"scores": scores, "boxes": boxes}, prepared)
    assert (len(found), float(found.scores[0])) == (1, 1.0)


def test_a_box_is_cut_at_the_edge_of_the_picture_and_one_beyond_it_is_none() -> None:
    specs = [TensorSpec("scores", (1, 2, 2), "float32"), TensorSpec("boxes", (1, 2, 4), "float32")]
    answer = {
        "scores": np.float32([[0.1, 0.9], [0.1, 0.9]]),
        "boxes": np.float32([[-0.5, 0.2, 0.5, 1.5], [1.2, 1.2, 1.4, 1.4]]),
    }
    width, height = encode.SIZE
    prepared = Prepared(np.zeros((3, height, width), np.float32), Letterbox((1.0, 1.0), encode.SIZE))
    found = FaceDetectionTask(recognise(specs)).decode(answer, prepared)
    assert np.allclose(found.boxes, [[0, 0.2 * height, 0.5 * width, height]])
