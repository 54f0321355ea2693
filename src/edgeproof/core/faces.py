"""Faces in a picture: where they are, how good they are to see, and the vectors that tell people apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError

Floats = NDArray[np.float32]

# In this order, "left" being left in the picture: what every detector here and the templates of alignment use.
LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")


@dataclass(frozen=True, eq=False)
class FaceDetections:
    """All faces of one picture, best first.

    Attributes:
        boxes: float32 (N, 4), xyxy in pixels of the upright picture.
        scores: float32 (N,), 0 to 1, falling.
        landmarks: float32 (N, 5, 2), xy in the order of `LANDMARKS`; None where the detector gives none.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
            "boxes": (self.boxes, (count, 4)),
            "scores": (self.scores, (count,)),
        }
        if self.landmarks is not None:
            wanted["landmarks"] = (self.landmarks, (count, 5, 2))
        for name, (value, shape) in wanted.items():
            if value.shape != shape or value.dtype != np.float32:
                raise InputError(
                    f"{name} is {value.dtype} {list(value.shape)}.", hint=f"Expected float32 {list(shape)}."
                )
            if not np.isfinite(value).all():
                raise InputError(
                    f"{name} has numbers that are not finite.",
                    hint="The network gave NaN or infinity: check its file.",
                )

    def __len__(self) -> int:
        return len(self.scores)

    @staticmethod
    def none(*, landmarks: bool = True) -> FaceDetections:
        """No face."""
        empty = np.empty
        return FaceDetections(
            empty((0, 4), np.float32),
            empty(0, np.float32),
            empty((0, 5, 2), np.float32) if landmarks else None,
        )

    def take(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> FaceDetections:
        """Some of them, by index or mask."""
        marks = None if self.landmarks is None else self.landmarks[places]
        return FaceDetections(self.boxes[places], self.scores[places], marks)


@dataclass(frozen=True)
class FaceQuality:
    """How well a face can be told from others.

    Attributes:
        score: 0 to 1, the least of its parts.
        parts: each part's own score, 0 to 1, by name: size, sharpness, pose, brightness.
        measured: what was measured for each part, in its own unit, by the same names.
        reasons: why it should not be enrolled, each a sentence; empty where it may be.
    """

    score: float
    parts: Mapping[str, float]
    measured: Mapping[str, float]
    reasons: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it may be enrolled."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The `quality` object."""
        return {
            "score": round(self.score, 4),
            "parts": {name: round(value, 4) for name, value in self.parts.items()},
            "measured": {name: round(value, 3) for name, value in self.measured.items()},
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a picture, with the names that users of other face libraries know.

    Attributes:
        bbox: float32 (4,), xyxy in pixels of the upright picture.
        det_score: 0 to 1.
        kps: float32 (5, 2), xy in the order of `LANDMARKS`; None where the detector gives none.
        embedding: float32 (D,) of length 1; None where it wasn't asked for.
        quality: None where it wasn't asked for.
    """

    bbox: Floats
    det_score: float
    kps: Floats | None = None
    embedding: Floats | None = field(default=None, repr=False)
    quality: FaceQuality | None = None

    @property
    def normed_embedding(self) -> Floats | None:
        """The embedding, which always has length 1."""
        return self.embedding

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `faces`; the embedding and the quality only where they are there."""
        row: dict[str, Any] = {
            "bbox": [round(float(value), 2) for value in self.bbox],
            "kps": None
            if self.kps is None
            else [[round(float(x), 2), round(float(y), 2)] for x, y in self.kps],
            "score": round(self.det_score, 6),
        }
        if self.embedding is not None:
            row["embedding"] = [round(float(value), 7) for value in self.embedding]
        if self.quality is not None:
            row["quality"] = self.quality.as_json()
        return row
