"""Where the faces of a picture are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeproof.core.faces import Face
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.serve.answers.found import drawn, enlargement, with_shares
from edgeproof.serve.answers.shared import LONG_SIDE, Shared
from edgeproof.tasks.face_detection import FaceDetector

_TASK = "faces"


class FacesAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:
        self._shared = shared.detector
        self._own = FaceDetector(bundle, long_side=LONG_SIDE) if bundle else None

    def engines(self) -> Mapping[str, Engine]:
        """The detector."""
        return {"faces": self._own.open()[0] if self._own else self._shared.open(_TASK)}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Box, landmarks and score of every face, best first."""
        self.engines()
        found = (self._own or self._shared.faces).detect(picture.pixels)
        scale = enlargement(picture)
        boxes = found.boxes * scale[[0, 1, 0, 1]]
        marks = [None] * len(found) if found.landmarks is None else list(found.landmarks * scale)
        faces = [
            Face(box, float(score), points)
            for box, score, points in zip(boxes, found.scores, marks, strict=True)
        ]
        return {"faces": with_shares([face.as_json() for face in faces], picture)}

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face, and its landmarks."""
        return draw_faces(picture, result)

    def close(self) -> None:
        """Free the network."""
        if self._own:
            self._own.close()
        else:
            self._shared.close(_TASK)


def draw_faces(picture: Picture, result: Mapping[str, Any]) -> Pixels:
    """The picture with a box around each of `result`'s faces, and its landmarks."""
    return drawn(picture, result["faces"], lambda face: f"{face['score']:.2f}")
