"""The faces of a picture with the vectors that tell people apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.faces import Face
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.imaging.decode import Picture
from edgeproof.library.faces.faces import Faces
from edgeproof.serve.answers.faces import LONG_SIDE, draw_faces
from edgeproof.serve.answers.found import enlargement, with_shares

# Of more faces than this in one picture only the surest are embedded: a run's time has a bound.
_MOST = 64
# Faces in one run: more would take memory and no less time.
_TOGETHER = 4


class EmbeddingsAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None) -> None:
        self._faces = Faces(None, bundle, long_side=LONG_SIDE, turn=False)

    def engines(self) -> Mapping[str, Engine]:
        """The network that embeds, and the one that finds faces."""
        self._faces.open()
        network, _ = self._faces.recognizer.open()
        return {"embeddings": network.engine, "embeddings-detector": self._faces.detector.open()[0]}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Every face, best first, with its embedding and quality; by which network, and its threshold."""
        found = self._faces.detect(picture.pixels)
        scale = enlargement(picture)
        rows = []
        for start in range(0, min(len(found), _MOST), _TOGETHER):
            some = found.take(np.arange(start, min(start + _TOGETHER, len(found))))
            rows += [_row(face, scale) for face in self._faces.faces(picture.pixels, some)]
        recognizer = self._faces.recognizer
        return {
            "faces": with_shares(rows, picture),
            "model": recognizer.name,
            "threshold": recognizer.task.threshold,
        }

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face, and its landmarks."""
        return draw_faces(picture, result)

    def close(self) -> None:
        """Free the networks."""
        self._faces.close()


def _row(face: Face, scale: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Any]:
    marks = None if face.kps is None else face.kps * scale
    full = dataclasses.replace(face, bbox=face.bbox * np.tile(scale, 2), kps=marks)
    return {"embedding": None, "quality": None, **full.as_json()}
