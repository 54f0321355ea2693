"""The objects of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import UsageError
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.serve.answers.found import drawn, enlargement, with_shares
from edgeproof.serve.answers.shared import Shared
from edgeproof.tasks.detection import ObjectDetector
from edgeproof.tasks.detection.open import Wish


class DetectAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:  # noqa: ARG002
        if bundle is None:
            raise UsageError(
                "The task 'detect' has no network of its own.", hint="Give one with --model detect=FILE."
            )
        self._detector = ObjectDetector(Wish(bundle))

    def engines(self) -> Mapping[str, Engine]:
        """The detector."""
        return {"detect": self._detector.open()[0].engine}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Box, score and class of every object, best first."""
        found = self._detector.detect(picture.pixels)
        full = replace(found, xyxy=found.xyxy * np.tile(enlargement(picture), 2))
        return {"detections": with_shares(full.as_json(), picture)}

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each object."""
        return drawn(picture, result["detections"], _label)

    def close(self) -> None:
        """Free the network."""
        self._detector.close()


def _label(found: Mapping[str, Any]) -> str:
    name = found["class_id"] if found["label"] is None else found["label"]
    return f"{name} {found['score']:.2f}"
