"""Mean average precision is COCO's own."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import DataError
from edgeproof.verify.mean_average_precision import Answered, Truth, mean_average_precision


def _picture(random: np.random.Generator, classes: int) -> Answered:
    count = int(random.integers(0, 8))
    corner = random.uniform(0, 300, (count, 2))
    boxes = np.concatenate(
        [corner, corner + random.choice([10, 60, 200], (count, 2)) * random.uniform(0.5, 1.5)], 1
    )
    truth = Truth(
        boxes,
        random.integers(0, classes, count),
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * random.uniform(0.4, 1),
        crowd=random.random(count) < 0.1,
    )
    # Some near the truth, of which some are of another class and some twice, and some anywhere.
    near = (
        boxes[random.integers(0, count, 2 * count)] + random.normal(0, 6, (2 * count, 4)) if count else boxes
    )
    away = random.uniform(0, 300, (int(random.integers(0, 140)), 2))
    found = np.concatenate([near, np.concatenate([away, away + random.uniform(5, 150, away.shape)], axis=1)])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    scores = np.round(random.random(len(found)), 2)  # rounded: equal scores have to come in the same order
    return Answered(found, scores, random.integers(0, classes, len(found)), truth)


def _of_coco(pictures: list[Answered]) -> Any:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools, to compare with")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    truth, found = [], []
    for image, picture in enumerate(pictures, start=1):
        there = picture.truth
        assert there.areas is not None
        assert there.crowd is not None
        for box, kind, area, crowd in zip(there.boxes, there.classes, there.areas, there.crowd, strict=True):
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": int(kind) + 1,
                    "bbox": [*box[:2], *(box[2:] - box[:2])],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
        for box, score, kind in zip(picture.boxes, picture.scores, picture.classes, strict=True):
            place = [*box[:2], *(box[2:] - box[:2])]
            found.append(
                {"image_id": image, "category_id": int(kind) + 1, "bbox": place, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        made = coco.COCO()
        made.dataset = {
            "images": [{"id": number} for number in range(1, len(pictures) + 1)],
            "annotations": truth,
            "categories": [{"id": number} for number in range(1, 20)],
        }
        made.createIndex()
        judged = evaluation.COCOeval(made, made.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


@pytest.mark.parametrize("seed", range(6))
def test_the_same_as_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = [_picture(random, classes=1 + seed) for _ in range(12)]
    judged = _of_coco(pictures)
    ours = mean_average_precision(pictures)
    assert ours.map == pytest.approx(judged.stats[0], abs=1e-6)
    assert ours.ap50 == pytest.approx(judged.stats[1], abs=1e-6)
    assert ours.ap75 == pytest.approx(judged.stats[2], abs=1e-6)
    for place, name in enumerate(("small", "medium", "large"), start=3):
        theirs = None if judged.stats[place] < 0 else pytest.approx(judged.stats[place], abs=1e-6)
        assert ours.by_size[name] == theirs
    for kind, value in ours.per_class.items():
        theirs = judged.eval["precision"][:, :, kind, 0, 2]
        assert value == pytest.approx(theirs.mean(), abs=1e-6)


def _one(boxes: Any, scores: Any, classes: Any, truth: Any, kinds: Any) -> Answered:
    return Answered(
        np.array(boxes, float).reshape(-1, 4),
        np.array(scores, float),
        np.array(classes, np.int64),
        Truth(np.array(truth, float).reshape(-1, 4), np.array(kinds, np.int64)),
    )


def test_perfect_and_nothing_found() -> None:
    box = [[0, 0, 50, 50]]
    assert mean_average_precision([_one(box, [0.9], [1], box, [1])]).map == pytest.approx(1)
    nothing = mean_average_precision([_one([], [], [], box, [1])])
    assert (nothing.map, nothing.ap50, nothing.boxes) == (0, 0, 1)
    assert nothing.by_size == {"small": None, "medium": 0, "large": None}


def test_a_class_that_isnt_there_costs_nothing_and_one_that_is_missed_does() -> None:
    box = [[0, 0, 50, 50]]
    pictures = [_one(box * 2, [0.9, 0.8], [1, 2], box, [1]), _one([], [], [], box, [3])]
    found = mean_average_precision(pictures)
    assert found.per_class == {1: pytest.approx(1), 3: 0}


def test_without_any_box_there_is_no_figure() -> None:
    with pytest.raises(DataError, match="no box"):
        mean_average_precision([_one([[0, 0, 9, 9]], [0.5], [0], [], [])])
    with pytest.raises(DataError):
        mean_average_precision([])
