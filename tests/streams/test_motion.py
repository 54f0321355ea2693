"""The filter of constant velocity learns where a box goes."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.streams.motion import Motion

_ROW, _SEEN = np.array([0]), np.array([False])


def _box(x: float, y: float, wide: float = 40, high: float = 80) -> np.ndarray:
    return np.array([[x, y, x + wide, y + high]], np.float32)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, 0), (-3, 7)])
def test_it_expects_what_moves_evenly_where_it_will_be(dx: float, dy: float) -> None:
    motion = Motion.begin(_box(100, 100))
    for step in range(1, 30):
        motion.advance(hidden=_SEEN)
        motion.correct(_ROW, _box(100 + dx * step, 100 + dy * step))
    motion.advance(hidden=_SEEN)
    assert motion.boxes() == pytest.approx(_box(100 + dx * 30, 100 + dy * 30), abs=0.5)


def test_it_is_the_textbook_filter() -> None:
    """Against the matrices of the predict and update equations, one side at a time."""
    motion, place, size = Motion.begin(_box(100, 100)), np.array([120.0, 0.0]), 40.0
    spread = np.diag([(2 * size / 20) ** 2, (10 * size / 160) ** 2])
    step, seen = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = np.diag([(size / 20) ** 2, (size / 160) ** 2])
    for x in (103.0, 111.0, 108.0, 120.0):
        place, spread = step @ place, step @ spread @ step.T + noise
        gain = spread @ seen.T / (seen @ spread @ seen.T + (size / 20) ** 2)
        place = place + gain[:, 0] * (x + 20 - place[0])
        spread = (np.eye(2) - gain @ seen) @ spread
        motion.advance(hidden=_SEEN)
        motion.correct(_ROW, _box(x, 100))
        assert motion.place[0, 0] == pytest.approx(place[0])
        assert motion.velocity[0, 0] == pytest.approx(place[1])
        assert motion.spread[:, 0, 0] == pytest.approx([spread[0, 0], spread[0, 1], spread[1, 1]])


def test_the_size_of_what_is_hidden_stays() -> None:
    motion = Motion.begin(_box(100, 100))
    for step in range(1, 10):
        motion.advance(hidden=_SEEN)
        motion.correct(_ROW, _box(100, 100, 40 + 4 * step, 80))
    wide = motion.place[0, 2]
    for _ in range(20):
        motion.advance(hidden=np.array([True]))
    assert motion.place[0, 2] == pytest.approx(wide)
