"""Pictures of any size in a frame, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.imaging.letterbox import letterbox
from imaging.picture_files import scene


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([None, 0.3, 1.0, 2.0]),
    st.booleans(),
)
def test_the_picture_lies_in_the_frame_and_points_find_back(
    wide: int, high: int, width: int, height: int, scale: float | None, stretch: bool
) -> None:
    pixels = np.full((high, wide, 3), 200, np.uint8)
    frame, place = letterbox(pixels, width, height, fill=(1, 2, 3), scale=scale, stretch=stretch)
    assert frame.shape == (height, width, 3)
    assert frame.dtype == np.uint8
    inside = np.array([wide, high]) * place.scale
    filled = int(np.rint(inside[0])), int(np.rint(inside[1]))
    assert (frame[: filled[1], : filled[0]] == 200).all()
    assert (frame[filled[1] :] == (1, 2, 3)).all()
    assert (frame[:, filled[0] :] == (1, 2, 3)).all()
    assert np.allclose(place.to_picture(np.array([filled])), [[wide, high]], rtol=1e-5)
    if stretch:
        assert filled == (width, height)
    elif scale is None:
        assert filled[0] == width or filled[1] == height


def test_a_picture_that_fits_is_not_resampled() -> None:
    pixels = scene(64, 48)
    frame, place = letterbox(pixels, 96, 64, scale=1.0)
    assert np.array_equal(frame[:48, :64], pixels)
    assert place.scale == (1.0, 1.0)
    assert np.array_equal(letterbox(pixels, 64, 48)[0], pixels)


def test_what_stands_in_the_picture_is_found_where_the_points_say() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[120:160, 200:260] = 255
    frame, place = letterbox(pixels, 320, 320)
    rows, columns = np.nonzero(frame[:, :, 0] > 127)
    corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
    assert np.abs(place.to_picture(corners) - [[200, 120], [260, 160]]).max() <= 1.0


def test_a_picture_made_much_smaller_does_not_alias() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[::2] = 200
    frame, _ = letterbox(stripes, 64, 64)
    assert np.abs(frame[2:-2].astype(int) - 100).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "width", "height", "scale"),
    [
        (scene(), 0, 10, None),
        (scene(), 10, -1, None),
        (scene(), 10, 10, 0.0),
        (scene(), 10, 10, float("nan")),
        (scene(), 10, 10, float("inf")),
        (np.zeros((4, 4), np.uint8), 4, 4, None),
        (np.zeros((4, 4, 3), np.float32), 4, 4, None),
        (np.zeros((0, 4, 3), np.uint8), 4, 4, None),
    ],
)
def test_what_is_no_picture_or_frame_is_refused(
    pixels: np.ndarray, width: int, height: int, scale: float | None
) -> None:
    with pytest.raises(InputError):
        letterbox(pixels, width, height, scale=scale)
