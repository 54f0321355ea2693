"""Tiles cover a picture, and what is found in them comes to one answer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.detections import Detections
from edgeproof.imaging.decode import decode
from edgeproof.library.detect.detector import Detector
from edgeproof.tasks.detection.tiles import Tile, merged, tiles_of

_sides = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(size=_sides, frame=st.tuples(st.integers(200, 640), st.integers(200, 640)))
def test_tiles_cover_the_picture_and_overlap(size: tuple[int, int], frame: tuple[int, int]) -> None:
    tiles = tiles_of(size, frame)
    assert bool(tiles) == (size[0] > frame[0] or size[1] > frame[1])
    if not tiles:
        return
    seen = np.zeros((size[1], size[0]), bool)
    for tile in tiles:
        assert tile.left >= 0
        assert tile.left + tile.width <= size[0]
        assert tile.top + tile.height <= size[1]
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True
    assert seen.all()
    lefts = sorted({tile.left for tile in tiles})
    assert all(one + frame[0] * 0.75 + 1 >= other for one, other in pairwise(lefts))


def test_a_picture_of_too_many_tiles_is_looked_at_as_a_whole() -> None:
    assert tiles_of((60_000, 60_000), (416, 416)) == []


def _one(*box: float, score: float = 0.5, kind: int = 0) -> Detections:
    return Detections(np.array([box], np.float32), np.array([score], np.float32), np.array([kind], np.int64))


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((10, 10, 30, 30), True),
        ((70, 10, 99.5, 30), False),  # cut by the border to the next tile
        ((0, 10, 30, 30), True),  # at the picture's own border
        ((10, 80, 30, 100), True),
    ],
)
def test_what_a_border_between_tiles_cuts_is_left_to_the_others(box: tuple[float, ...], kept: bool) -> None:
    tile = Tile(0, 0, 100, 100)
    found = merged(Detections.none(), [(tile, _one(*box))], (180, 100), iou=0.5, agnostic=False, most=9)
    assert len(found) == kept


def test_an_object_that_two_looks_find_is_one() -> None:
    parts = [
        (Tile(0, 0, 100, 100), _one(60, 10, 80, 30)),
        (Tile(50, 0, 100, 100), _one(11, 10, 31, 30, score=0.9)),
    ]
    found = merged(_one(60, 10, 81, 30, score=0.3), parts, (150, 100), iou=0.5, agnostic=False, most=9)
    assert found.xyxy.tolist() == [[61, 10, 81, 30]]


def test_small_objects_of_a_large_picture_are_found(shared: Path) -> None:
    bears = decode(shared / "data/coco/images/000000000776.jpg").pixels[:416:2, :416:2]
    wall = np.tile(bears, (8, 8, 1))
    with (
        Detector(shared / "models/yolox-nano.onnx") as whole,
        Detector(shared / "models/yolox-nano.onnx", tiles=True) as tiled,
    ):
        assert len(tiled(wall)) > 2 * len(whole(wall))
        assert tiled(wall).data["class_name"][0] == "teddy bear"
        assert np.array_equal(tiled(bears).xyxy, whole(bears).xyxy)
