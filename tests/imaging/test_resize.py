"""The centre square."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.imaging.resize import crop_square
from imaging.picture_files import scene


@pytest.mark.parametrize(("width", "height"), [(64, 48), (48, 64), (48, 48), (1, 9)])
def test_the_centre_is_cut_out(width: int, height: int) -> None:
    pixels = scene(width, height)
    short = min(width, height)
    top, left = (height - short) // 2, (width - short) // 2
    assert np.array_equal(crop_square(pixels, short), pixels[top : top + short, left : left + short])


def test_a_reduced_picture_keeps_its_mean_and_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 200  # every other line: taking single lines would give all black or all white
    assert np.abs(crop_square(stripes, 8)[1:-1].astype(int) - 100).max() <= 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_a_turned_picture_gives_the_turned_square(side: int, times: int, margin: int, seed: int) -> None:
    shape = (side * times, side * times + 2 * margin, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    for turns in (1, 2, 3):
        turned = crop_square(np.rot90(pixels, turns), side)
        wanted = np.rot90(crop_square(pixels, side), turns)
        # Pillow rounds to 8 bits between its horizontal and its vertical pass, hence one level.
        assert np.abs(turned.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize(("width", "height", "side"), [(301, 200, 96), (375, 500, 192), (256, 384, 192)])
def test_at_any_scale_a_turned_picture_gives_nearly_the_turned_square(
    width: int, height: int, side: int
) -> None:
    pixels = scene(width, height)
    for turns in (1, 2, 3):
        turned = crop_square(np.rot90(pixels, turns), side).astype(int)
        assert np.abs(turned - np.rot90(crop_square(pixels, side), turns)).mean() < 2


@pytest.mark.parametrize(
    ("pixels", "side"), [(scene(), 0), (np.zeros((4, 4), np.uint8), 2), (np.zeros((4, 4, 3), np.float32), 2)]
)
def test_what_is_no_picture_or_side_is_refused(pixels: np.ndarray, side: int) -> None:
    with pytest.raises(InputError):
        crop_square(pixels, side)
