"""Squares around boxes: the right place, whatever lies beside the picture, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.imaging.crop import square_crops


def _ramp(width: int = 60, height: int = 40) -> np.ndarray:
    """Red tells the column, green the line."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 4, y * 4, np.zeros_like(x)], axis=-1).astype(np.uint8)


def test_a_box_that_fits_is_cut_out_pixel_by_pixel() -> None:
    crops = square_crops(_ramp(), np.array([[10, 5, 26, 21]]), 16)
    assert np.array_equal(crops[0], _ramp()[5:21, 10:26])


def test_the_longer_side_counts_and_the_square_grows_on_each_side() -> None:
    # A box of 8 x 16 around (20, 20), grown by a quarter of its 16 on each side: 24 pixels from 8 to 32.
    crops = square_crops(_ramp(), np.array([[16, 12, 24, 28]]), 24, grow=0.25)
    assert np.array_equal(crops[0], _ramp()[8:32, 8:32])


def test_beside_the_picture_is_the_colour_of_its_border() -> None:
    crop = square_crops(_ramp(), np.array([[-8, -8, 8, 8]]), 16)[0]
    assert np.array_equal(crop[8:, 8:], _ramp()[:8, :8])
    assert (crop[:8, :8] == _ramp()[0, 0]).all()


@given(
    box=st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4),
    grow=st.floats(-0.4, 2),
    side=st.integers(1, 40),
)
def test_any_finite_box_gives_a_square(box: list[float], grow: float, side: int) -> None:
    crops = square_crops(_ramp(), np.array([box]), side, grow=grow)
    assert (crops.shape, crops.dtype) == ((1, side, side, 3), np.uint8)


def test_no_boxes_give_no_squares() -> None:
    assert square_crops(_ramp(), np.empty((0, 4)), 8).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(
    ("boxes", "side", "grow"),
    [
        (np.array([[0, 0, np.nan, 5]]), 8, 0.0),
        (np.array([[0, 0, np.inf, 5]]), 8, 0.0),
        (np.zeros((2, 5)), 8, 0.0),
        (np.zeros((1, 4)), 0, 0.0),
        (np.zeros((1, 4)), 8, -0.5),
        (np.zeros((1, 4)), 8, float("nan")),
    ],
)
def test_what_is_no_box_is_refused(boxes: np.ndarray, side: int, grow: float) -> None:
    with pytest.raises(InputError):
        square_crops(_ramp(), boxes, side, grow=grow)
