"""Fitting a detector of objects: what its answers are worth, with labels and without."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.detections import Detections
from edgeproof.core.errors import DataError
from edgeproof.fit.targets.detect import DetectFit
from edgeproof.fit.targets.protocol import View
from edgeproof.tasks.detection import DetectionTask
from edgeproof.verify.object_labels import open_labels

BOX = [40.0, 40.0, 90.0, 90.0]


def found(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
    )


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Ten photos with one object of class 3 each."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    paths = []
    for number in range(10):
        paths.append(tmp_path / "images" / f"{number}.png")
        Image.new("RGB", (200, 100), (number * 20, 0, 0)).save(paths[-1])
        (tmp_path / "labels" / f"{number}.txt").write_text("3 0.325 0.65 0.25 0.5")
    return paths


def fit_of(photos: list[Path], *, labelled: bool) -> DetectFit:
    folder = photos[0].parent
    labels = open_labels(folder.parent / "labels", folder, None) if labelled else None
    return DetectFit(DetectionTask(), folder, labels)


def test_with_labels_it_is_mean_average_precision(photos: list[Path]) -> None:
    task = fit_of(photos, labelled=True)
    views = [task.views(photo) for photo in photos]
    right = [[found((BOX, 0.9, 3))]] * 10
    half = [[found((BOX, 0.9, 3))]] * 5 + [[found()]] * 5
    (score,) = task.score(photos, views, right, right)
    assert (score.name, score.unit, score.count) == ("map", "photos", 10)
    assert score.value == pytest.approx(1.0)
    assert score.resampled is not None
    assert score.resampled == pytest.approx(np.ones(201))
    (worse,) = task.score(photos, views, half, right)
    assert worse.value == pytest.approx(51 / 101)  # recall ends at a half
    assert worse.agreement == pytest.approx(10 / 15)
    assert worse.resampled is not None
    assert 0.1 < worse.resampled[1:].std() < 0.25


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        (found((BOX, 0.9, 3)), 1.0),
        (found((BOX, 0.5, 3)), 1.0),
        (found((BOX, 0.01, 3)), 0.0),  # nobody sees one so weak
        (found((BOX, 0.9, 4)), 0.0),
        (found(([140.0, 40.0, 190.0, 90.0], 0.9, 3)), 0.0),
        (found(([40.0, 40.0, 90.0, 70.0], 0.9, 3)), 1.0),
        (found(([40.0, 40.0, 90.0, 64.0], 0.9, 3)), 0.0),
        (found((BOX, 0.9, 3), (BOX, 0.8, 3)), 2 / 3),
        (found(), 0.0),
    ],
)
def test_without_labels_it_is_what_both_find(photos: list[Path], answer: Detections, share: float) -> None:
    task = fit_of(photos, labelled=False)
    views = [task.views(photo) for photo in photos]
    (score,) = task.score(photos, views, [[answer]] * 10, [[found((BOX, 0.9, 3))]] * 10)
    assert score.name == "matched detections"
    assert score.value == pytest.approx(share)


def test_nothing_found_by_the_original_tells_nothing(photos: list[Path]) -> None:
    task = fit_of(photos, labelled=False)
    views = [task.views(photo) for photo in photos]
    with pytest.raises(DataError, match="finds nothing"):
        task.score(photos, views, [[found()]] * 10, [[found()]] * 10)


def test_a_view_is_the_picture_in_the_networks_frame(photos: list[Path]) -> None:
    (view,) = fit_of(photos, labelled=True).views(photos[0])
    assert isinstance(view, View)
    assert view.tensor.shape == (3, 320, 640)
    assert view.context[1].boxes.tolist() == [[40.0, 40.0, 90.0, 90.0]]


def test_only_what_the_labels_list_counts(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(
        '{"images": [{"id": 1, "file_name": "4.png"}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}'
    )
    folder = photos[0].parent
    task = DetectFit(DetectionTask(), folder, open_labels(tmp_path / "coco.json", folder, None))
    assert task.photos(Random(0), None) == [folder / "4.png"]
    assert len(fit_of(photos, labelled=True).photos(Random(0), 7)) == 7


def test_a_class_that_the_network_does_not_have_is_refused(photos: list[Path]) -> None:
    from edgeproof.tasks.detection.yolox import YoloX

    (photos[0].parent.parent / "labels" / "0.txt").write_text("80 0.5 0.5 0.1 0.1")
    folder = photos[0].parent
    decoder = YoloX("output", 80)
    task = DetectFit(DetectionTask(decoder), folder, open_labels(folder.parent / "labels", folder, None))
    with pytest.raises(DataError, match="class 80, and the network has 80 classes"):
        task.views(photos[0])


def test_labels_without_a_box_are_told_before_the_work(photos: list[Path]) -> None:
    task = fit_of(photos, labelled=True)
    task.check(photos, [task.views(photo) for photo in photos])
    for file in (photos[0].parent.parent / "labels").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="no box for any photo"):
        task.check(photos, [task.views(photo) for photo in photos])
