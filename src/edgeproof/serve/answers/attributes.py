"""Ages and genders of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.attributes import AgeEstimate, FaceAttributes, GenderEstimate
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.crop import square_crops
from edgeproof.imaging.decode import Picture
from edgeproof.library.attributes.attributes import Attributes
from edgeproof.serve.answers.found import drawn, enlargement, with_shares
from edgeproof.serve.answers.shared import TOGETHER, Shared
from edgeproof.tasks.attributes.estimate import unsure

_TASK = "attributes"


class AttributesAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:
        self._detector = shared.detector
        self._attributes = Attributes(bundle, gender_model=shared.gender)
        self._estimator, *self._others = self._attributes.estimators
        self._batcher = shared.batcher(_TASK, self._told, self._network)

    def engines(self) -> Mapping[str, Engine]:
        """The network about faces, and the one that finds them."""
        genders = dict(
            zip(("attributes-gender",), (one.open()[0].engine for one in self._others), strict=False)
        )
        return {
            "attributes": self._network(),
            **genders,
            "attributes-detector": self._detector.open(_TASK),
        }

    def _network(self) -> Engine:
        return self._estimator.open()[0].engine

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Every face, best first."""
        self._detector.open(_TASK)
        family = self._estimator.family
        found = self._detector.faces.glance(picture.pixels)
        boxes = found.boxes * np.tile(enlargement(picture), 2)
        told: list[tuple[AgeEstimate | None, GenderEstimate | None]] = []
        for start in range(0, len(found), TOGETHER):
            with self._batcher.coming():
                some = found.boxes[start : start + TOGETHER]
                told += self._batcher.ask(square_crops(picture.pixels, some, family.side, grow=family.grow))
        threshold = self._attributes.threshold
        faces = [
            FaceAttributes(box, float(score), age, gender, unsure(age, gender, threshold))
            for box, score, (age, gender) in zip(boxes, found.scores, told, strict=True)
        ]
        return {"faces": with_shares([face.as_json() for face in faces], picture)}

    def _told(self, crops: Pixels) -> Sequence[tuple[AgeEstimate | None, GenderEstimate | None]]:
        return self._attributes.told([one.answer(crops) for one in self._attributes.estimators], len(crops))

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face."""
        return drawn(picture, result["faces"], _label)

    def close(self) -> None:
        """Free the networks."""
        self._detector.close(_TASK)
        self._attributes.close()


def _label(face: Mapping[str, Any]) -> str:
    if face["unsure"]:
        return "unsure"
    said = (face["gender"] and face["gender"]["label"], face["age"] and face["age"]["bucket"])
    return ", ".join(word for word in said if word)
