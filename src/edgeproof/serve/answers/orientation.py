"""Whether a photo is turned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.protocols import Engine, Pixels
from edgeproof.core.results import TURNS
from edgeproof.imaging.decode import Picture
from edgeproof.serve.answers.shared import Shared
from edgeproof.tasks.orientation import Orientation


class OrientationAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:  # noqa: ARG002
        self._looker = Orientation(bundle, threads=1)

    def engines(self) -> Mapping[str, Engine]:
        """The one network."""
        return {"orientation": self._looker.open()[0]}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """How it stands."""
        result = self._looker.look(picture.pixels)
        return {
            "turn": result.turn,
            "confidence": round(result.confidence, 6),
            "decision": result.decision,
            "probabilities": {
                str(turn): round(float(share), 6)
                for turn, share in zip(TURNS, result.probabilities, strict=True)
            },
            "exif_orientation": picture.exif_orientation,
        }

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture put upright, where the answer is sure."""
        turns = result["turn"] // 90 if result["decision"] == "turn" else 0
        return np.ascontiguousarray(np.rot90(picture.pixels, -turns))

    def close(self) -> None:
        """Free the network."""
        self._looker.close()
