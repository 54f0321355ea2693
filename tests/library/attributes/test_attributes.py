"""Ages and genders of pictures and of crops with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeproof as ep
from edgeproof.core.errors import DataError, ModelError, UsageError
from edgeproof.core.faces import FaceDetections
from edgeproof.imaging.decode import decode
from edgeproof.library.attributes.attributes import Attributes
from edgeproof.library.attributes.evaluate import evaluate_attributes
from edgeproof.library.attributes.images import look_at_images
from edgeproof.tasks.attributes.family import FAIRFACE
from edgeproof.tasks.attributes.labels import LabelledFace, bucket_number, read_labels


@pytest.fixture
def attributes(shared: Path) -> Iterator[Attributes]:
    with Attributes(detector=shared / "models/yunet-n-dynamic.onnx") as made:
        yield made


def test_the_figures_of_the_card(shared: Path) -> None:
    folder = shared / "data/fairface"
    with Attributes() as attributes:
        found = evaluate_attributes(read_labels(folder / "val.csv"), folder, attributes, workers=2).as_json()
    assert found["n"] == 1000
    assert found["gender_accuracy"] == pytest.approx(0.921, abs=0.01)
    assert found["age_exact"] == pytest.approx(0.569, abs=0.01)
    assert found["age_within_one"] == pytest.approx(0.942, abs=0.01)
    groups = found["by_group"]
    assert sum(group["n"] for group in groups["age"].values()) == 1000
    assert sum(group["n"] for group in groups["gender"].values()) == 1000
    # Saying unsure has to help.
    assert found["sure"]["share"] == pytest.approx(0.86, abs=0.02)
    assert found["sure"]["gender_accuracy"] > found["gender_accuracy"] + 0.03


def _left(face: ep.FaceAttributes) -> float:
    return float(face.bbox[0])


def test_faces_of_a_photo_are_told_and_those_of_a_reduced_one_too(
    attributes: Attributes, shared: Path
) -> None:
    photo = shared / "data/facedet/images/maksssksksss123.jpg"
    small = ep.Attributes(detector=shared / "models/yunet-n-dynamic.onnx")(photo)
    with Image.open(photo) as image:
        large = image.convert("RGB").resize((image.width * 10, image.height * 10))
    faces = attributes(large)  # decoded at half its size
    assert len(faces) == 2
    for face, one in zip(sorted(faces, key=_left), sorted(small, key=_left), strict=True):
        assert np.abs(face.bbox / 10 - one.bbox).max() < 15
        assert face.age is not None
        assert one.age is not None
        assert abs(face.age.years - one.age.years) < 12


@pytest.mark.parametrize(("name", "label"), [("Jennifer", "Female"), ("John", "Male")])
def test_the_margin_around_a_face_is_what_the_network_needs(
    attributes: Attributes, shared: Path, name: str, label: str
) -> None:
    # With a quarter of the box more on each side, as some detectors need, one in ten is wrong.
    photos = sorted((shared / "data/lfw/images").glob(f"{name}_*/*.jpg"))[:30]
    told = [attributes(photo)[0].gender for photo in photos]
    right = [gender.label == label for gender in told if gender]
    assert len(right) == len(photos) > 3
    assert np.mean(right) >= 0.9


def test_no_face_is_an_empty_list(attributes: Attributes) -> None:
    assert attributes(np.full((40, 40, 3), 128, np.uint8)) == []


def test_many_faces_go_through_in_parts(attributes: Attributes, shared: Path) -> None:
    pixels = decode(shared / "data/facedet/images/maksssksksss123.jpg").pixels
    boxes = (
        np.tile(np.float32([[225, 98, 310, 217]]), (200, 1)) + np.arange(200, dtype=np.float32)[:, None] / 50
    )
    told = attributes.estimates(pixels, FaceDetections(boxes, np.ones(200, np.float32)))
    assert len(told) == 200
    assert len({gender.label for _, gender in told if gender}) == 1


def test_a_bad_picture_is_a_report_and_the_others_are_done(
    attributes: Attributes, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    good = shared / "data/facedet/images/maksssksksss123.jpg"
    reports = list(look_at_images([tmp_path / "bad.jpg", good, tmp_path / "gone.jpg"], attributes))
    assert [report.error.code if report.error else None for report in reports] == [
        "not_an_image",
        None,
        "not_found",
    ]
    assert [len(report.faces) for report in reports] == [0, 2, 0]


def test_of_two_models_one_tells_ages_and_one_genders() -> None:
    from edgeproof.tasks.attributes import builtin_model

    twice = Attributes(builtin_model(), gender_model=builtin_model())
    assert twice.open_estimators() is twice
    twice.close()
    with pytest.raises(ModelError, match="no network for age or gender"):
        Attributes(Path(ep.__file__).parent / "data/orientation.onnx").open()


@pytest.mark.parametrize("threshold", [0.49, 1.01, float("nan"), -1])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold"):
        Attributes(threshold=threshold)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column file, age, gender"),
        ("file,age\na.jpg,3", "no column gender"),
        ("file,age,gender\n", "holds no face"),
        ("file,age,gender\na.jpg,3,Robot\n", "Line 2"),
        ("file,age,gender\n,3,Male\n", "Line 2"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_labels(tmp_path / "t.csv")


def test_labels_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "\ufefffile,age,gender\na.jpg,more than 70,M\nb.jpg,35.5,\nc.jpg,,female\n"
    )
    faces = read_labels(tmp_path / "t.csv")
    assert [face.gender for face in faces] == ["Male", "", "Female"]
    assert [bucket_number(face.age, FAIRFACE) for face in faces] == [8, 4, None]


@pytest.mark.parametrize("age", ["old", "-3", "nan", "1000", "(0-2)"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(DataError, match="none that this network tells"):
        bucket_number(age, FAIRFACE)


def test_crops_that_are_missing_are_told_and_without_any_there_is_no_figure(tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), (120, 90, 80)).save(tmp_path / "a.png")
    faces = [LabelledFace("a.png", "", "Male", 2), LabelledFace("b.png", "5", "", 3)]
    with Attributes() as attributes:
        found = evaluate_attributes(faces, tmp_path, attributes)
        assert [name for name, _ in found.failures] == ["b.png"]
        assert (found.as_json()["age_exact"], found.as_json()["n"]) == (None, 1)
        with pytest.raises(DataError, match="None of the 1 crops"):
            evaluate_attributes(faces[1:], tmp_path, attributes)
        with pytest.raises(DataError, match="no folder"):
            evaluate_attributes(faces, tmp_path / "nowhere", attributes)
        with pytest.raises(UsageError, match="share"):
            evaluate_attributes(faces, tmp_path, attributes, share=1.5)
