"""Faces to vectors: what the network is shown, batches, directions, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bundles.sample_bundles import packed
from edgeproof.bundles.manifest import EngineNeed
from edgeproof.core.errors import (
    EdgeproofError,
    InputError,
    ModelError,
    ModelMissingError,
    NotFoundError,
    UsageError,
)
from edgeproof.tasks.face_recognition import FaceRecognitionTask, FaceRecognizer, unit_vectors
from tasks.recognition_networks import write

CROPS = np.random.default_rng(0).integers(0, 256, (7, 112, 112, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("recognition") / "face.onnx")


@pytest.mark.parametrize(
    "form",
    [{"batch": 1}, {"batch": 3}, {"batch": 7}, {"batch": 16}, {"channels_last": True}, {"second": True}],
    ids=str,
)
def test_every_form_of_a_network_gives_the_same_vectors(
    tmp_path: Path, network: Path, form: dict[str, Any]
) -> None:
    with FaceRecognizer(network) as one, FaceRecognizer(write(tmp_path / "other.onnx", **form)) as other:
        assert other.embed(CROPS) == pytest.approx(one.embed(CROPS), abs=1e-5)
        assert other.dimensions == 16


def test_vectors_have_length_one_and_don_t_depend_on_their_neighbours(network: Path) -> None:
    with FaceRecognizer(network) as recognizer:
        together = recognizer.embed(CROPS)
        assert together.dtype == np.float32
        assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-6)
        assert np.stack([recognizer.embed(crop[None])[0] for crop in CROPS]) == pytest.approx(
            together, abs=1e-6
        )
        many = np.concatenate([CROPS] * 6)
        assert recognizer.embed(many) == pytest.approx(np.concatenate([together] * 6), abs=1e-6)


def test_with_flip_a_face_and_its_mirror_image_are_the_same(network: Path) -> None:
    with FaceRecognizer(network, flip=True) as recognizer, FaceRecognizer(network) as plain:
        mirrored = CROPS[:, :, ::-1]
        assert recognizer.embed(CROPS) == pytest.approx(recognizer.embed(mirrored), abs=1e-6)
        assert recognizer.embed(CROPS) == pytest.approx(
            unit_vectors(plain.embed(CROPS) + plain.embed(mirrored)), abs=1e-6
        )


def test_no_face_is_no_vector(network: Path) -> None:
    with FaceRecognizer(network) as recognizer:
        assert recognizer.embed(CROPS[:0]).shape == (0, 16)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_the_network_is_shown_what_its_task_says(colour: str, last: bool) -> None:
    mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
    task = FaceRecognitionTask(mean, std, colour)
    crops = CROPS if colour == "RGB" else CROPS[..., ::-1]
    wanted = (crops.astype(np.float64) - mean) / std
    shown = task.prepare_all(CROPS, channels_last=last)
    assert shown.dtype == np.float32
    assert shown == pytest.approx(wanted if last else wanted.transpose(0, 3, 1, 2), abs=1e-4)
    assert np.array_equal(task.prepare(CROPS[0]).tensor, task.prepare_all(CROPS)[0])


@given(
    st.tuples(*[st.floats(-300, 300)] * 3),
    st.tuples(*[st.floats(0.1, 300)] * 3),
    st.sampled_from(["RGB", "BGR"]),
    st.none() | st.floats(-1, 1),
)
def test_a_manifest_keeps_all_of_a_task(
    mean: tuple[float, float, float], std: tuple[float, float, float], colour: str, threshold: float | None
) -> None:
    task = FaceRecognitionTask(mean, std, colour, threshold=threshold)
    assert all(type(value) is float for value in task.settings().values())
    assert FaceRecognitionTask.from_settings(task.settings()) == task


@given(arrays(np.float32, (3, 5), elements=st.floats(width=32)))
def test_a_vector_without_direction_is_never_answered(vectors: np.ndarray) -> None:
    try:
        answer = unit_vectors(vectors)
    except InputError:
        return
    assert np.linalg.norm(answer, axis=1) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_a_network_that_answers_nothing_finite_is_named(tmp_path: Path, scale: float) -> None:
    with (
        FaceRecognizer(write(tmp_path / "broken.onnx", scale=scale)) as recognizer,
        pytest.raises(InputError, match=r"face 0 is zero or not finite"),
    ):
        recognizer.embed(CROPS)


@pytest.mark.parametrize(
    "crops",
    [
        CROPS[0],
        CROPS[:, :100],
        CROPS[..., :2],
        CROPS.astype(np.float32),
        np.zeros((1, 3, 112, 112), np.uint8),
    ],
    ids=["one", "small", "two colours", "float", "channels first"],
)
def test_faces_of_another_form_are_refused(network: Path, crops: np.ndarray) -> None:
    with FaceRecognizer(network) as recognizer, pytest.raises(InputError, match="align_faces"):
        recognizer.embed(crops)


def test_another_side_is_taken_where_the_task_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "face.onnx", side=160)
    with FaceRecognizer(path, task=FaceRecognitionTask(side=160)) as recognizer:
        assert recognizer.embed(np.zeros((2, 160, 160, 3), np.uint8) + np.uint8(7)).shape == (2, 16)
    with (
        FaceRecognizer(path) as recognizer,
        pytest.raises(ModelError, match="not a face recognition network"),
    ):
        recognizer.open()


def test_it_can_be_closed_and_used_again(network: Path) -> None:
    recognizer = FaceRecognizer(network)
    before = recognizer.embed(CROPS)
    recognizer.close()
    recognizer.close()
    assert np.array_equal(recognizer.embed(CROPS), before)
    recognizer.close()


def test_its_digest_is_that_of_the_file(network: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.onnx", scale=2.0)
    with FaceRecognizer(network) as one, FaceRecognizer(other) as two:
        assert len(one.digest) == 64
        assert one.digest != two.digest
        assert (one.name, one.task.threshold) == ("face.onnx", None)


def test_a_bundle_says_how_its_network_is_used(tmp_path: Path, network: Path) -> None:
    task = FaceRecognitionTask((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR", threshold=0.25)
    bundle = packed(tmp_path / "face.edge", task="face-recognition", settings=task.settings())
    _replace_model(bundle.path, network)
    with FaceRecognizer(bundle.path) as recognizer, FaceRecognizer(network, task=task) as plain:
        assert recognizer.task == task
        assert np.array_equal(recognizer.embed(CROPS), plain.embed(CROPS))
        assert recognizer.digest == plain.digest


def _replace_model(bundle: Path, network: Path) -> None:
    from bundles.sample_bundles import put

    put(bundle, "model.onnx", network.read_bytes())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda folder: folder / "none.onnx", NotFoundError),
        (lambda folder: "mobilefacenet", ModelMissingError),
        (lambda folder: None, ModelMissingError),
        (lambda folder: "yunet", EdgeproofError),
        (lambda folder: packed(folder / "o.edge").path, ModelError),
    ],
    ids=["no file", "not installed", "default not installed", "a detector", "a bundle for orientation"],
)
def test_what_is_no_recognition_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, kind: type[EdgeproofError]
) -> None:
    monkeypatch.setenv("EDGEPROOF_HOME", str(tmp_path / "home"))
    with pytest.raises(kind) as caught:
        FaceRecognizer(make(tmp_path)).open()
    assert caught.value.hint


def test_a_bundle_takes_no_other_engine(tmp_path: Path) -> None:
    bundle = packed(tmp_path / "face.edge", task="face-recognition", engine=EngineNeed("onnxruntime", "1.19"))
    with pytest.raises(UsageError, match="names its engine"):
        FaceRecognizer(bundle.path, engine="openvino").open()


@pytest.mark.parametrize(
    "wrong",
    [
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (float("nan"),) * 3},
        {"mean": (1.0,)},
        {"colour": "GRAY"},
        {"threshold": 2.0},
        {"side": 0},
    ],
    ids=str,
)
def test_a_task_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        FaceRecognitionTask(**wrong)


def test_the_default_network_is_shown_what_it_was_trained_with(shared: Path) -> None:
    with FaceRecognizer(shared / "models" / "mobilefacenet-foamliu.onnx") as recognizer:
        assert recognizer.task.mean == pytest.approx((123.675, 116.28, 103.53))
        assert (recognizer.name, recognizer.dimensions) == ("mobilefacenet", 128)
        assert recognizer.task.threshold == pytest.approx(0.336)
