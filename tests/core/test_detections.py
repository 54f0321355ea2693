"""Detections: validated when made, named, and handed to other libraries."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edgeproof.core.detections import Detections
from edgeproof.core.errors import InputError, MissingExtraError


def _two() -> Detections:
    boxes = np.array([[0, 0, 10, 20], [5, 5, 9, 9]], np.float32)
    return Detections(boxes, np.array([0.9, 0.5], np.float32), np.array([2, 0], np.int64))


@pytest.mark.parametrize(
    ("xyxy", "confidence", "class_id"),
    [
        (np.zeros((2, 4), np.float64), np.zeros(2, np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 5), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(3, np.int64)),
        (np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int32)),
        (np.full((1, 4), np.nan, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64)),
        (np.zeros((1, 4), np.float32), np.full(1, np.inf, np.float32), np.zeros(1, np.int64)),
    ],
)
def test_what_is_none_is_refused(xyxy: np.ndarray, confidence: np.ndarray, class_id: np.ndarray) -> None:
    with pytest.raises(InputError):
        Detections(xyxy, confidence, class_id)


def test_data_has_a_row_for_each() -> None:
    two = _two()
    with pytest.raises(InputError, match="has 1 rows"):
        Detections(two.xyxy, two.confidence, two.class_id, {"track": np.array([7])})


def test_names_and_numbers_beyond_them() -> None:
    named = _two().named(("person", "dog"))
    assert [row["label"] for row in named.as_json()] == ["2", "person"]
    assert [row["label"] for row in _two().as_json()] == [None, None]
    assert _two().as_json()[0] == {"bbox": [0.0, 0.0, 10.0, 20.0], "score": 0.9, "class_id": 2, "label": None}


def test_some_of_them_keep_their_data() -> None:
    kept = _two().named(("a", "b", "c")).take(np.array([1]))
    assert (len(kept), kept.data["class_name"].tolist()) == (1, ["a"])
    assert len(Detections.none()) == 0


def test_the_supervision_library_gets_the_same_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("supervision")
    module.Detections = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", module)
    given = _two().named(("a", "b", "c"))
    made = given.to_supervision()
    assert made.xyxy is given.xyxy
    assert made.data["class_name"].tolist() == ["c", "a"]


def test_without_it_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match="supervision"):
        _two().to_supervision()
