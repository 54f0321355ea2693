"""`Faces` without networks: the first pixel of a picture says who is on it, how many faces, and how good they are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.core.faces import Face, FaceDetections, FaceQuality
from edgeproof.imaging.align import TEMPLATE
from edgeproof.imaging.decode import decode
from gallery.people import MODEL, vectors

SIDE = 200


def picture(path: Path, who: int, *, faces: int = 1, bad: bool = False, like: int = 100) -> Path:
    """A PNG on which is person `who`; `like`: percent of the embedding that is theirs, the rest another's."""
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    pixels[0, 0] = who, faces, int(bad)
    pixels[0, 1] = like
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


class FakeRecognizer:
    def __init__(self, digest: str = MODEL) -> None:
        self.digest, self.dimensions = digest, 16
        self.task = SimpleNamespace(side=112, threshold=0.3)

    def open(self) -> None:
        pass

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Who is on a crop can't be seen; all have one shade, which decides."""
        return np.stack([vectors(16)[int(crop.mean()) % 16] for crop in crops])


class FakeFaces:
    """Takes what `Faces` takes; `recognizer="other"` is another model."""

    def __init__(self, recognizer: Any = None, **_: Any) -> None:
        self.recognizer = FakeRecognizer("b2" * 32 if recognizer == "other" else MODEL)

    def open(self, *, embed: bool = True) -> FakeFaces:
        return self

    def detect(self, pixels: NDArray[np.uint8]) -> FaceDetections:
        count = int(pixels[0, 0, 1])
        corners = np.arange(count, dtype=np.float32)[:, None] * 20
        boxes = np.hstack([corners, corners, corners + 100, corners + 100]).astype(np.float32)
        marks = (TEMPLATE + corners[:, None]).astype(np.float32)
        return FaceDetections(boxes, np.linspace(0.9, 0.8, count, dtype=np.float32), marks)

    def faces(self, pixels: NDArray[np.uint8], found: FaceDetections, **_: Any) -> list[Face]:
        who, _count, bad = map(int, pixels[0, 0])
        reasons = ("It is blurred.",) if bad else ()
        quality = FaceQuality(0.5, {"sharpness": 0.5}, {"sharpness": 0.1}, reasons)
        share, made = int(pixels[0, 1, 0]) / 100, vectors(16)
        embedding = share * made[who] + np.sqrt(1 - share**2) * made[who + 1]
        assert found.landmarks is not None
        return [
            Face(found.boxes[i], float(found.scores[i]), found.landmarks[i], embedding, quality)
            for i in range(len(found))
        ]

    def get(self, image: Any, **_: Any) -> list[Face]:
        pixels = decode(image).pixels
        return self.faces(pixels, self.detect(pixels))

    def __enter__(self) -> FakeFaces:
        return self

    def __exit__(self, *error: object) -> None:
        pass
