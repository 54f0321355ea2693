"""Ages and genders of faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.attributes import FaceAttributes
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.library.attributes.attributes import Attributes
from edgeproof.serve.answers.faces import detector_only
from edgeproof.serve.answers.found import drawn, enlargement, with_shares
from edgeproof.tasks.attributes.estimate import unsure

# Faces in one run: on a processor more are no faster a face, and each takes 3 MB.
_TOGETHER = 4


class AttributesAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None) -> None:
        self._faces = detector_only()
        self._attributes = Attributes(bundle)

    def engines(self) -> Mapping[str, Engine]:
        """The network about faces, and the one that finds them."""
        self._attributes.open_estimators()
        (estimator,) = self._attributes.estimators
        return {
            "attributes": estimator.open()[0].engine,
            "attributes-detector": self._faces.detector.open()[0],
        }

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Every face, best first."""
        rows = [face.as_json() for face in self._look(picture)]
        return {"faces": with_shares(rows, picture)}

    def _look(self, picture: Picture) -> list[FaceAttributes]:
        found = self._faces.detect(picture.pixels)
        boxes, asked = found.boxes * np.tile(enlargement(picture), 2), self._attributes
        rows = []
        for start in range(0, len(found), _TOGETHER):
            some = found.take(np.arange(start, min(start + _TOGETHER, len(found))))
            rows += asked.estimates(picture.pixels, some)
        return [
            FaceAttributes(box, float(score), age, gender, unsure(age, gender, asked.threshold))
            for box, score, (age, gender) in zip(boxes, found.scores, rows, strict=True)
        ]

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face."""
        return drawn(picture, result["faces"], _label)

    def close(self) -> None:
        """Free the networks."""
        self._faces.close()
        self._attributes.close()


def _label(face: Mapping[str, Any]) -> str:
    if face["unsure"]:
        return "unsure"
    said = (face["gender"] and face["gender"]["label"], face["age"] and face["age"]["bucket"])
    return ", ".join(word for word in said if word)
