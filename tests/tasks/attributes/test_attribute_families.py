"""Which family a network is of, what it is shown, and what its numbers come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import InputError, ModelError
from edgeproof.core.files import sha256_of
from edgeproof.core.tensor import TensorSpec
from edgeproof.formats.onnx import one_onnx_file
from edgeproof.tasks.attributes import AttributeEstimator, builtin_model
from edgeproof.tasks.attributes.estimate import age_of, bucket_of, gender_of, unsure
from edgeproof.tasks.attributes.fairface import FairFace
from edgeproof.tasks.attributes.family import FAIRFACE
from edgeproof.tasks.attributes.levi_hassner import ADIENCE, LeviHassner
from edgeproof.tasks.attributes.recognise import recognise
from edgeproof.tasks.attributes.ssrnet import SsrNet


def _spec(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name, shape, "float32")


@pytest.mark.parametrize(
    ("given", "made", "family"),
    [
        (_spec("i", "N", 3, 112, 112), [_spec("age", "N", 9), _spec("gender", "N", 2)], FairFace()),
        (_spec("i", 1, 3, 112, 112), [_spec("g", 1, 2), _spec("a", 1, 9)], FairFace("a", "g")),
        (_spec("i", "N", 3, 227, 227), [_spec("prob", "N", 8)], LeviHassner("prob", ages=True)),
        (_spec("i", 1, 3, 227, 227), [_spec("prob", 1, 2, 1, 1)], LeviHassner("prob", ages=False)),
        (_spec("i", "N", 64, 64, 3), [_spec("y", "N", 1)], SsrNet("y", channels_last=True)),
        (_spec("i", "N", 3, 64, 64), [_spec("y", "N", 1)], SsrNet("y", channels_last=False)),
    ],
)
def test_a_family_is_told_by_inputs_and_outputs(
    given: TensorSpec, made: list[TensorSpec], family: object
) -> None:
    assert recognise([given], made) == family


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ([_spec("i", "N", 3, 192, 192)], [_spec("logits", "N", 4)]),
        ([_spec("i", "N", 3, 112, 112)], [_spec("age", "N", 9)]),
        ([_spec("i", "N", 3, 112, 112)] * 2, [_spec("age", "N", 9), _spec("gender", "N", 2)]),
        ([], []),
    ],
)
def test_another_network_is_refused_with_what_was_expected(
    given: list[TensorSpec], made: list[TensorSpec]
) -> None:
    with pytest.raises(ModelError, match="levi-hassner") as caught:
        recognise(given, made)
    assert "fairface" in caught.value.hint


def test_what_each_family_is_shown() -> None:
    crops = np.zeros((2, 4, 4, 3), np.uint8)
    crops[:] = (200, 117, 4)
    crops[0, 0, 0] = (0, 100, 250)
    assert FairFace().prepare(crops)[1, :, 2, 2].tolist() == [200, 117, 4]
    assert LeviHassner("prob", ages=True).prepare(crops)[1, :, 2, 2].tolist() == [4 - 104, 0, 200 - 123]
    shown = SsrNet("y", channels_last=True).prepare(crops)
    assert (shown[0].min(), shown[0].max()) == (0, 255)
    assert shown[1, 2, 2, 0] < shown[1, 2, 2, 2]  # blue first


def test_an_even_picture_is_no_division_by_zero() -> None:
    assert not SsrNet("y", channels_last=False).prepare(np.full((1, 64, 64, 3), 9, np.uint8)).any()


@pytest.mark.parametrize(
    ("family", "outputs"),
    [
        (FairFace(), {"age": np.full((1, 9), np.nan), "gender": np.zeros((1, 2))}),
        (LeviHassner("p", ages=True), {"p": np.full((1, 8), np.inf)}),
        (LeviHassner("p", ages=False), {"p": np.array([[-1.0, 2.0]])}),
        (LeviHassner("p", ages=False), {"p": np.zeros((1, 2))}),
        (SsrNet("y", channels_last=True), {"y": np.array([[np.nan]])}),
    ],
)
def test_answers_that_are_none_are_refused(family: object, outputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError):
        family.read(outputs)  # type: ignore[attr-defined]


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9).filter(lambda values: sum(values) > 0.01))
def test_an_age_lies_within_its_interval_and_its_range(values: list[float]) -> None:
    probabilities = np.array(values) / sum(values)
    age = age_of(probabilities, FAIRFACE)
    assert age.low is not None and age.high is not None  # noqa: PT018
    assert 0 <= age.low <= age.high <= 90
    assert 1 - 1e-6 <= age.years <= 75 + 1e-6
    assert age.bucket == FAIRFACE[int(np.argmax(probabilities))].name


def test_a_certain_age_and_one_on_the_fence() -> None:
    certain = age_of(np.eye(9)[3], FAIRFACE)
    assert (certain.bucket, certain.years, certain.probability) == ("20-29", 24.5, 1.0)
    assert (certain.low, certain.high) == pytest.approx((21, 29))
    fence = age_of(np.array([0, 0, 0, 0.5, 0.5, 0, 0, 0, 0]), FAIRFACE)
    assert (fence.years, fence.low, fence.high) == pytest.approx((29.5, 22, 38))


@pytest.mark.parametrize(
    ("years", "name"), [(0, "0-2"), (2.9, "0-2"), (3, "3-9"), (69.9, "60-69"), (110, "70+")]
)
def test_years_lie_in_a_bucket(years: float, name: str) -> None:
    assert bucket_of(years, FAIRFACE).name == name


def test_a_face_is_unsure_by_its_gender_or_by_its_age() -> None:
    narrow, wide = age_of(np.eye(9)[3], FAIRFACE), age_of(np.full(9, 1 / 9), FAIRFACE)
    sure, torn = gender_of(np.array([0.9, 0.1])), gender_of(np.array([0.4, 0.6]))
    assert (sure.label, torn.label) == ("Male", "Female")
    cases = [(narrow, sure), (narrow, torn), (wide, sure), (None, sure), (narrow, None), (None, None)]
    assert [unsure(age, gender, 0.75) for age, gender in cases] == [False, True, True, False, False, False]


def test_the_built_in_network_gives_a_batch_what_it_gives_each_face() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (19, 112, 112, 3), dtype=np.uint8)
    with AttributeEstimator() as estimator:
        together = estimator.answer(crops)
        alone = [estimator.answer(crops[face : face + 1]) for face in (0, 15, 16, 18)]
    assert together.age is not None
    assert together.gender is not None
    assert (together.age.shape, together.gender.shape) == ((19, 9), (19, 2))
    for face, one in zip((0, 15, 16, 18), alone, strict=True):
        assert np.allclose(together.age[face], one.age, atol=1e-5)
    assert np.allclose(together.gender.sum(axis=1), 1)


@pytest.mark.parametrize(("kind", "width"), [("age", 8), ("gender", 2)])
def test_the_caffe_pair_runs_with_weights_by_chance(
    shared: Path, tmp_path: Path, kind: str, width: int
) -> None:
    pytest.importorskip("onnx")
    from edgeproof.formats import read_network
    from edgeproof.formats.onnx import save_model

    made = read_network(shared / f"models/levi-hassner-{kind}.prototxt", random_weights=1)
    save_model(made.model, tmp_path / "net.onnx")
    with AttributeEstimator(tmp_path / "net.onnx") as estimator:
        answer = estimator.answer(np.zeros((3, 227, 227, 3), np.uint8))
        assert estimator.family.tells_age is (kind == "age")
        assert estimator.family.buckets is ADIENCE
    found = answer.age if kind == "age" else answer.gender
    assert found is not None
    assert found.shape == (3, width)


def test_ssrnet_of_keras_tells_years(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    file = one_onnx_file(shared / "models/ssrnet-age-morph2.h5", tmp_path)
    with AttributeEstimator(file) as estimator:
        answer = estimator.answer(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    assert (answer.age, answer.gender) == (None, None)
    assert answer.years is not None
    assert ((answer.years > 5) & (answer.years < 90)).all()


def test_the_card_has_the_digest_of_the_network() -> None:
    assert sha256_of(builtin_model()) in builtin_model().with_suffix(".md").read_text()
