"""How good a face is to see: each fault is found, in words and as a number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import InputError
from edgeproof.core.faces import FaceDetections, FaceQuality
from edgeproof.imaging.align import TEMPLATE
from edgeproof.tasks.face_quality import BRIGHT, CLIPPED, DARK, POSE, SHARPNESS, SIZE, assess, estimate_pose

# Landmarks on a typical head, in distances between the eyes: across, down, and out of the face.
HEAD = np.array(
    [[-0.5, -0.66, 0.0], [0.5, -0.66, 0.0], [0.0, 0.0, 0.48], [-0.415, 0.495, 0.0], [0.415, 0.495, 0.0]]
)


def _textured(seed: int = 0) -> np.ndarray:
    """A crop with detail at every scale, well lit: uint8 (112, 112, 3)."""
    rng = np.random.default_rng(seed)
    rough = np.kron(rng.uniform(70, 190, (14, 14)), np.ones((8, 8)))
    return np.repeat((rough + rng.uniform(-25, 25, (112, 112)))[..., None], 3, axis=2).astype(np.uint8)


def _judge(
    crop: np.ndarray, *, box: tuple[float, ...] = (50, 50, 200, 200), marks: np.ndarray = TEMPLATE
) -> FaceQuality:
    found = FaceDetections(
        np.array([box], np.float32), np.ones(1, np.float32), marks[None].astype(np.float32)
    )
    (quality,) = assess(np.zeros((400, 400, 3), np.uint8), found, crop[None])
    return quality


def test_a_good_face_has_no_reason_against_it() -> None:
    quality = _judge(_textured())
    assert quality.good
    assert quality.score == pytest.approx(min(quality.parts.values()))
    assert quality.score > 0.9


@pytest.mark.parametrize(
    ("crop", "box", "part", "words"),
    [
        (_textured(), (10, 10, 44, 60), "size", "the face is 34 pixels wide; 60 are needed"),
        (_textured(), (-80, 10, 40, 120), "size", "the face is 40 pixels wide"),
        (_textured() // 8, (50, 50, 200, 200), "brightness", "too dark: 1"),
        (
            np.clip(_textured() + 110.0, 0, 255).astype(np.uint8),
            (50, 50, 200, 200),
            "brightness",
            "too bright: 2",
        ),
        (
            np.where(np.indices((112, 112, 3))[1] < 56, 0, 180).astype(np.uint8),
            (50, 50, 200, 200),
            "brightness",
            "black or white",
        ),
        (
            np.repeat(np.linspace(80, 180, 112)[None, :, None], 112, axis=0)
            .repeat(3, axis=2)
            .astype(np.uint8),
            (50, 50, 200, 200),
            "sharpness",
            "blurred",
        ),
    ],
    ids=["small", "cut off", "dark", "bright", "clipped", "blurred"],
)
def test_a_fault_is_the_score_and_its_reason(
    crop: np.ndarray, box: tuple[float, ...], part: str, words: str
) -> None:
    quality = _judge(crop, box=box)
    assert not quality.good
    assert any(words in reason for reason in quality.reasons), quality.reasons
    assert quality.parts[part] < 0.5
    assert quality.score == min(quality.parts.values())


@pytest.mark.parametrize(
    ("yaw", "pitch", "words"),
    [
        (60, 0, "to the side"),
        (-60, 0, "to the side"),
        (0, 55, "up"),
        (0, -55, "down"),
        (30, 0, None),
        (0, -25, None),
    ],
)
def test_a_face_that_looks_away_says_so(yaw: float, pitch: float, words: str | None) -> None:
    quality = _judge(_textured(), marks=_seen(yaw, pitch, 0) * 60 + 120)
    assert quality.good == (words is None)
    if words:
        assert any(words in reason and "45 are allowed" in reason for reason in quality.reasons)


def _seen(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The head's landmarks (5, 2) from far away: first it turns, then nods, then leans."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    nod = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    lean = np.array([[math.cos(c), -math.sin(c)], [math.sin(c), math.cos(c)]])
    points: np.ndarray = (HEAD @ turn.T @ nod.T)[:, :2] @ lean.T
    return points


@given(st.floats(-50, 50), st.floats(-40, 40), st.floats(-170, 170), st.floats(5, 500))
def test_the_pose_of_a_head_is_found_to_some_degrees(
    yaw: float, pitch: float, roll: float, size: float
) -> None:
    angles = estimate_pose(_seen(yaw, pitch, roll)[None] * size + 1000)[0]
    # The two mix a little where the head does both.
    slack = 3 + abs(yaw * pitch) / 60
    assert angles == pytest.approx([yaw, pitch, roll], abs=slack)


@given(
    st.lists(st.tuples(st.floats(-100, 500), st.floats(-100, 500)), min_size=5, max_size=5),
    st.integers(0, 255),
    st.tuples(*[st.floats(-50, 450)] * 4),
)
def test_any_face_gets_numbers_from_0_to_1(
    marks: list[tuple[float, float]], grey: int, box: tuple[float, ...]
) -> None:
    quality = _judge(np.full((112, 112, 3), grey, np.uint8), box=box, marks=np.array(marks))
    assert all(0 <= value <= 1 for value in quality.parts.values())
    assert all(math.isfinite(value) for value in quality.measured.values())
    assert quality.good == (quality.score >= 0.5)


def test_the_limits_are_in_order() -> None:
    for marks in (SIZE, SHARPNESS, POSE, DARK, BRIGHT, CLIPPED):
        assert sorted(marks) == list(marks) or sorted(marks) == list(reversed(marks))


def test_many_faces_are_judged_as_each_alone() -> None:
    crops = np.stack([_textured(0), _textured(1) // 8])
    boxes = np.array([[0, 0, 90, 90], [10, 10, 30, 30]], np.float32)
    marks = np.stack([TEMPLATE, TEMPLATE * 0.2]).astype(np.float32)
    found = FaceDetections(boxes, np.ones(2, np.float32), marks)
    pixels = np.zeros((400, 400, 3), np.uint8)
    together = assess(pixels, found, crops)
    alone = [assess(pixels, found.take(np.array([i])), crops[i : i + 1])[0] for i in range(2)]
    assert together == alone
    assert assess(pixels, FaceDetections.none(), crops[:0]) == []


@pytest.mark.parametrize("landmarks", [True, False])
def test_crops_of_other_faces_are_refused(landmarks: bool) -> None:
    with pytest.raises(InputError, match="crops"):
        assess(np.zeros((9, 9, 3), np.uint8), FaceDetections.none(landmarks=landmarks), _textured()[None])
