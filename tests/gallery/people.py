"""Embeddings of people who don't exist."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeproof.gallery.gallery import Entry

DIMENSIONS = 16
MODEL = "a1" * 32
OTHER_MODEL = "b2" * 32


def vectors(count: int, dimensions: int = DIMENSIONS, seed: int = 0) -> NDArray[np.float32]:
    """(count, dimensions) of length 1; below 16 of them they are at right angles, so nobody is like another."""
    if count <= dimensions <= 16:
        return np.eye(dimensions, dtype=np.float32)[:count]
    made = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def near(vector: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """A vector whose cosine with the first is `share`, bent towards the second, which is at right angles to it."""
    return np.asarray(share * vector + np.sqrt(1 - share**2) * other, np.float32)


def entries(count: int) -> list[Entry]:
    return [Entry(f"Person {number}", vector) for number, vector in enumerate(vectors(count))]


def eventually(true: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds: PostgreSQL's announcements take a moment."""
    end = time.monotonic() + 10
    while not true():
        if time.monotonic() > end:
            return False
    return True
