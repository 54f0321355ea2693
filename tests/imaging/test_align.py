"""Alignment of faces: the fit, the reading, and what can't be aligned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.imaging.align import SIDE, TEMPLATE, align_faces, similarity, usable
from imaging.picture_files import scene

SCALES = st.floats(0.05, 40)
ANGLES = st.floats(-math.pi, math.pi)
SHIFTS = st.floats(-5000, 5000)
NOISE = st.lists(st.floats(-6, 6), min_size=10, max_size=10)


def _placed(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    """The template's points scaled, turned and moved: float64 (5, 2)."""
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return TEMPLATE @ turn.T + [x, y]


def _umeyama(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """As the paper has it, with singular values; (2, 3)."""
    here, there = points - points.mean(axis=0), template - template.mean(axis=0)
    u, values, v = np.linalg.svd(there.T @ here / len(points))
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    turn = u @ np.diag(signs) @ v
    scale = (values * signs).sum() / (here**2).sum(axis=1).mean()
    return np.column_stack([scale * turn, template.mean(axis=0) - scale * turn @ points.mean(axis=0)])


@given(SCALES, ANGLES, SHIFTS, SHIFTS)
def test_a_face_that_is_the_template_moved_comes_back(scale: float, angle: float, x: float, y: float) -> None:
    points = _placed(scale, angle, x, y)
    (matrix,) = similarity(points[None])
    assert points @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(TEMPLATE, abs=1e-5)


@given(SCALES, ANGLES, NOISE)
def test_it_is_the_least_squares_fit_of_the_paper(scale: float, angle: float, noise: list[float]) -> None:
    points = _placed(scale, angle, 100, 50) + scale * np.reshape(noise, (5, 2))
    (matrix,) = similarity(points[None])
    assert matrix == pytest.approx(_umeyama(points, TEMPLATE), rel=1e-6, abs=1e-6)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    (matrix,) = similarity((TEMPLATE * [-1, 1])[None])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_faces_together_are_as_each_alone() -> None:
    pixels = scene(400, 300)
    points = np.stack([_placed(0.8, 0.2, 50, 40), _placed(2.7, -1, 100, 200), _placed(0.4, 3, 200, 100)])
    together = align_faces(pixels, points.astype(np.float32))
    alone = [align_faces(pixels, one[None].astype(np.float32))[0] for one in points]
    assert together.shape == (3, SIDE, SIDE, 3)
    assert np.array_equal(together, np.stack(alone))
    assert align_faces(pixels, np.empty((0, 5, 2), np.float32)).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("side", [112, 96, 160])
@pytest.mark.parametrize(
    ("scale", "angle", "x", "y"),
    [
        (0.3, 0.0, 100, 80),
        (0.9, 0.5, 90, 60),
        (1.3, -2.5, 200, 220),
        (1.1, 0.1, -60, -40),
        (0.7, 1.0, 370, 250),
    ],
)
def test_reads_what_opencv_reads(side: int, scale: float, angle: float, x: float, y: float) -> None:
    # The same matrix and bilinear weights, ours of 1/256 pixel, OpenCV's of 1/32: 3 of 255 at the most on this
    # picture, whose steps between neighbours are of 180; black outside.
    cv2 = pytest.importorskip("cv2")
    pixels = scene(400, 300)
    points = _placed(scale, angle, x, y)[None]
    ours = align_faces(pixels, points, side)[0].astype(int)
    (matrix,) = similarity(points, TEMPLATE * (side / SIDE))
    theirs = cv2.warpAffine(pixels, matrix, (side, side)).astype(int)
    difference = abs(ours - theirs)
    assert difference.mean() < 0.35
    assert np.quantile(difference, 0.99) <= 4


def test_a_face_that_fills_its_place_is_not_changed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert np.array_equal(align_faces(pixels, TEMPLATE[None])[0], pixels)


def test_a_face_far_larger_than_its_picture_is_read_all_the_same() -> None:
    points = (TEMPLATE - TEMPLATE.mean(axis=0)) * 3000 + 20
    assert align_faces(scene(60, 40), points[None]).shape == (1, SIDE, SIDE, 3)


def test_what_lies_outside_the_picture_is_black() -> None:
    white = np.full((60, 200, 3), 255, np.uint8)
    (face,) = align_faces(white, TEMPLATE[None])
    assert (face[:60] == 255).all()
    assert (face[60:] == 0).all()
    assert not align_faces(white, TEMPLATE[None] + 1000).any()
    assert not align_faces(white, TEMPLATE[None] - 1000).any()


@pytest.mark.parametrize("scale", [2, 5, 9, 33])
def test_a_large_face_is_reduced_without_turning_into_noise(scale: int) -> None:
    size = SIDE * scale
    checks = np.indices((size, size)).sum(axis=0) % 2 * 255
    pixels = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    (face,) = align_faces(pixels, (TEMPLATE * scale)[None])
    inner = face[2:-2, 2:-2].astype(int)
    assert abs(inner - 127.5).max() <= 127.5 / scale + 2


@pytest.mark.parametrize("scale", [2.0, 3.5, 8.0])
def test_a_large_face_stays_in_its_place(scale: float) -> None:
    # A smooth picture read at any size shows the same: brightness rises with x, so a shift would show.
    size = round(SIDE * scale)
    ramp = np.tile(np.linspace(0, 250, size), (size, 1))
    pixels = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    (face,) = align_faces(pixels, (TEMPLATE * scale)[None])
    wanted = np.arange(SIDE) * scale * 250 / (size - 1)
    assert abs(face[50, 4:-4, 0] - wanted[4:-4]).max() <= 1.5


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), np.nan),
        np.full((5, 2), np.inf),
        TEMPLATE * 1e30,
        np.full((5, 2), 77.0),
        TEMPLATE * 1e-4,
        np.where(np.eye(5, 2, dtype=bool), np.nan, TEMPLATE),
    ],
    ids=["nan", "infinite", "huge", "one place", "nearly one place", "one nan"],
)
def test_points_that_are_no_face_are_refused_by_number(points: np.ndarray) -> None:
    faces = np.stack([TEMPLATE, points]).astype(np.float32)
    assert list(usable(faces)) == [True, False]
    with pytest.raises(InputError, match="face 1"):
        align_faces(scene(), faces)


@pytest.mark.parametrize("shape", [(5, 2), (1, 4, 2), (1, 5, 3)])
def test_landmarks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="Landmarks"):
        align_faces(scene(), np.zeros(shape, np.float32))


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="float64"):
        align_faces(scene() / 255.0, TEMPLATE[None])
