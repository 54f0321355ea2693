"""Reading known boxes, and what an evaluation counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import DataError, EdgeproofError, NotFoundError
from edgeproof.core.faces import FaceDetections
from edgeproof.library.faces.evaluate import evaluate_detector
from edgeproof.tasks.face_detection import FaceDetectionTask, FaceDetector
from edgeproof.verify.face_boxes import read_boxes


class Known(FaceDetector):
    """Finds one face of 10 x 10 pixels in the corner of every picture."""

    def __init__(self) -> None:
        super().__init__("nowhere")

    def open(self) -> tuple[None, FaceDetectionTask]:  # type: ignore[override]
        return None, FaceDetectionTask()

    def detect(self, pixels: np.ndarray) -> FaceDetections:
        return FaceDetections(np.float32([[0, 0, 10, 10]]), np.float32([0.9]))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    return tmp_path


def _boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.float32(rows).reshape(-1, 4)


def test_what_is_counted(images: Path) -> None:
    steps = []
    found = evaluate_detector(
        {"a.png": _boxes((0, 0, 10, 10), (20, 20, 30, 30)), "b.png": _boxes()},
        images,
        Known(),
        progress=lambda done, total: steps.append((done, total)),
    ).as_json()
    assert (found["images"], found["faces"], found["recall"]) == (2, 2, 0.5)
    assert found["ap50"] == pytest.approx(0.5)  # both were found at one score: the right one comes first
    assert found["at_confidence"] == {"confidence": 0.7, "precision": 0.5, "recall": 0.5}
    assert steps == [(1, 2), (2, 2)]


def test_a_picture_that_cannot_be_read_counts_as_faces_that_were_not_found(images: Path) -> None:
    (images / "b.png").write_bytes(b"no picture")
    truth = {"a.png": _boxes((0, 0, 10, 10)), "b.png": _boxes((0, 0, 10, 10)), "c.png": _boxes()}
    found = evaluate_detector(truth, images, Known()).as_json()
    assert (found["images"], found["faces"], found["recall"]) == (1, 2, 0.5)
    assert [row["path"] for row in found["failures"]] == ["b.png", "c.png"]
    assert {row["error"]["code"] for row in found["failures"]} == {"not_an_image", "not_found"}


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        ({"a.png": _boxes()}, "no box to find"),
        ({"z.png": _boxes((0, 0, 1, 1))}, "None of the 1 pictures"),
    ],
)
def test_nothing_to_measure(images: Path, truth: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(DataError, match=says):
        evaluate_detector(truth, images, Known())


def test_no_folder(images: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        evaluate_detector({"a.png": _boxes()}, images / "nowhere", Known())


def test_boxes_are_read(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps({"a.jpg": [[1, 2, 3.5, 4]], "b.jpg": []}))
    read = read_boxes(tmp_path / "boxes.json")
    assert read["a.jpg"].tolist() == [[1, 2, 3.5, 4]]
    assert read["b.jpg"].shape == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"a.jpg": 5}',
        '{"a.jpg": {"x": 1}}',
        '{"a.jpg": [[1, 2, 3]]}',
        '{"a.jpg": [1, 2, 3, 4]}',
        '{"a.jpg": [[1, 2, 3, 4], [1]]}',
        '{"a.jpg": [[1, 2, 3, "x"]]}',
        '{"a.jpg": [[1, 2, 3, NaN]]}',
        '{"a.jpg": [[1, 2, 3, 1e99]]}',
        '{"a.jpg": [[5, 5, 1, 1]]}',
        '{"a.jpg": [[[1, 2, 3, 4]]]}',
        "\xff\xfe",
    ],
)
def test_what_is_no_list_of_boxes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "boxes.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        read_boxes(tmp_path / "boxes.json")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["nowhere.json", "a\0b"])
def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        read_boxes(tmp_path / name)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError):
        read_boxes(tmp_path)
