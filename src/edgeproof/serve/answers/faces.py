"""Where the faces of a picture are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeproof.core.faces import FaceDetections
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.library.faces.faces import Faces
from edgeproof.serve.answers.found import drawn, enlargement, with_shares

# A look at 960 pixels takes 40 MB, at 640 less than half; of 20 pixels there a face is
# still found.
LONG_SIDE = 640


class FacesAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None) -> None:
        self._faces = detector_only(bundle)

    def engines(self) -> Mapping[str, Engine]:
        """The detector."""
        return {"faces": self._faces.detector.open()[0]}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Box, landmarks and score of every face, best first."""
        found = in_full(self._faces.detect(picture.pixels), picture)
        rows = self._faces.faces(picture.pixels, found, embed=False, quality=False)
        return {"faces": with_shares([row.as_json() for row in rows], picture)}

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face, and its landmarks."""
        return draw_faces(picture, result)

    def close(self) -> None:
        """Free the networks."""
        self._faces.close()


def detector_only(detector: Path | None = None) -> Faces:
    """What finds faces in a service: frugal, so EXIF's orientation is applied and no other is tried.

    The network that tells whether a picture is turned would take 25 MB more; `/v1/orientation` has it.
    """
    return Faces(detector, long_side=LONG_SIDE, turn=False)


def in_full(found: FaceDetections, picture: Picture) -> FaceDetections:
    """Faces of a reduced picture in the full picture's pixels."""
    scale = enlargement(picture)
    marks = None if found.landmarks is None else found.landmarks * scale
    return FaceDetections(found.boxes * scale[[0, 1, 0, 1]], found.scores, marks)


def draw_faces(picture: Picture, result: Mapping[str, Any]) -> Pixels:
    """The picture with a box around each of `result`'s faces, and its landmarks."""
    return drawn(picture, result["faces"], lambda face: f"{face['score']:.2f}")
