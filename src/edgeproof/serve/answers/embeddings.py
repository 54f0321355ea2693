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
from edgeproof.serve.answers.faces import draw_faces
from edgeproof.serve.answers.found import enlargement, with_shares
from edgeproof.serve.answers.shared import TOGETHER, Shared

# Of more faces than this in one picture only the surest are embedded: a run's time has a bound.
_MOST = 64
_TASK = "embeddings"


class EmbeddingsAnswer:
    """See `answers.protocol.Answer`."""

    def __init__(self, bundle: Path | None, shared: Shared) -> None:
        self._detector = shared.detector
        self._faces = Faces(shared.detector.faces, bundle, turn=False)
        self._batcher = shared.batcher(_TASK, self._faces.recognizer.embed, self._network)

    def engines(self) -> Mapping[str, Engine]:
        """The network that embeds, and the one that finds faces."""
        return {"embeddings": self._network(), "embeddings-detector": self._detector.open(_TASK)}

    def answer(self, picture: Picture) -> dict[str, Any]:
        """Every face, best first, with its embedding and quality; by which network, and its threshold."""
        self._detector.open(_TASK)
        found = self._faces.detect(picture.pixels)
        scale = enlargement(picture)
        rows = []
        for start in range(0, min(len(found), _MOST), TOGETHER):
            with self._batcher.coming():
                some = found.take(np.arange(start, min(start + TOGETHER, len(found))))
                cut = self._faces.cut(picture.pixels, some)
                vectors = self._batcher.ask(cut.crops) if len(cut.crops) else None
            faces = cut.faces(None if vectors is None else np.asarray(vectors))
            rows += [_row(face, scale) for face in faces]
        recognizer = self._faces.recognizer
        return {
            "faces": with_shares(rows, picture),
            "model": recognizer.name,
            "threshold": recognizer.task.threshold,
            # Vectors of two recognisers can't be compared: whoever keeps them keeps this with them.
            "recognizer": {
                "sha256": recognizer.digest,
                "dimensions": recognizer.dimensions,
                "side": recognizer.task.side,
            },
        }

    def _network(self) -> Engine:
        return self._faces.recognizer.open()[0].engine

    def draw(self, picture: Picture, result: Mapping[str, Any]) -> Pixels:
        """The picture with a box around each face, and its landmarks."""
        return draw_faces(picture, result)

    def close(self) -> None:
        """Free the networks."""
        self._detector.close(_TASK)
        self._faces.recognizer.close()


def _row(face: Face, scale: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Any]:
    marks = None if face.kps is None else face.kps * scale
    full = dataclasses.replace(face, bbox=face.bbox * np.tile(scale, 2), kps=marks)
    return {"embedding": None, "quality": None, **full.as_json()}
