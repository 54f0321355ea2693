"""Boxes drawn into pictures."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.core.errors import InputError
from edgeproof.imaging.draw import draw
from imaging.picture_files import scene

GREEN = (0, 220, 90)


def _green(pixels: np.ndarray) -> int:
    return int((pixels == GREEN).all(axis=2).sum())


def test_the_picture_itself_stays_as_it_is() -> None:
    pixels = scene(200, 150)
    before = pixels.copy()
    drawn = draw(pixels, np.float32([[20, 30, 90, 100]]), ["0.93"], np.float32([[[40, 50]] * 5]))
    assert np.array_equal(pixels, before)
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    assert (drawn[30, 50] == GREEN).all()
    assert (drawn[50, 40] == (255, 60, 60)).all()
    assert np.array_equal(drawn[60:95, 25:38], pixels[60:95, 25:38])


def test_lines_grow_with_the_picture() -> None:
    box = np.float32([[0.25, 0.25, 0.75, 0.75]])
    thin, thick = (
        _green(draw(np.zeros((side, side, 3), np.uint8), box * side)) / side for side in (200, 4000)
    )
    assert thick > 4 * thin


@pytest.mark.parametrize("label", ["", "0.5", "Zoë Ångström", "王小明", "a\nb", "x" * 500, "🙂"])
def test_any_label_can_be_written(label: str) -> None:
    assert draw(scene(300, 200), np.float32([[50, 80, 150, 180]]), [label]).shape == (200, 300, 3)


def test_small_faces_of_a_crowd_are_not_hidden_by_labels() -> None:
    pixels = np.full((600, 1600, 3), 90, np.uint8)
    boxes = np.float32([[x, y, x + 10, y + 12] for x in range(20, 1580, 40) for y in range(20, 580, 40)])
    drawn = draw(pixels, boxes, ["0.75"] * len(boxes))
    assert (drawn == 90).all(axis=2).mean() > 0.9


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 500, 500), (10, 10, 10, 10), (30, 30, 10, 10), (1e9, 1e9, 2e9, 2e9), (-9, -9, -5, -5)],
)
def test_boxes_beyond_the_picture_do_no_harm(box: tuple[float, ...]) -> None:
    assert draw(scene(), np.float32([box]), ["1.00"]).shape == scene().shape


@pytest.mark.parametrize("size", [(1, 1), (3, 900)])
def test_odd_pictures(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    assert draw(pixels, np.float32([[0, 0, 2, 2]]), ["0.9"], np.float32([[[1, 1]] * 5])).shape == pixels.shape


def test_nothing_to_draw_is_a_copy() -> None:
    pixels = scene()
    drawn = draw(pixels, np.empty((0, 4), np.float32), [], np.empty((0, 5, 2), np.float32))
    assert np.array_equal(drawn, pixels)
    assert not np.shares_memory(drawn, pixels)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(InputError):
        draw(np.zeros((4, 4), np.uint8), np.empty((0, 4)))
