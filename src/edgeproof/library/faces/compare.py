"""Whether two pictures show the same person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import NoFaceError, UsageError
from edgeproof.core.faces import Face
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import Faces


@dataclass(frozen=True)
class Side:
    """One of two pictures.

    Attributes:
        face: its largest one.
        faces: how many it has.
    """

    path: Path
    face: Face
    faces: int

    def as_json(self) -> dict[str, Any]:
        """What CONTRACT leaves open: which face was meant."""
        row = self.face.as_json()
        row.pop("embedding", None)
        return {"path": str(self.path), "faces": self.faces, **row}


@dataclass(frozen=True)
class Comparison:
    """What `faces compare` found.

    Attributes:
        similarity: the cosine of the two embeddings, -1 to 1.
        threshold: from which they count as one person's; None where none is known for the network.
        model: the network's name.
    """

    a: Side
    b: Side
    similarity: float
    threshold: float | None
    model: str

    @property
    def same(self) -> bool | None:
        """Whether they count as one person's; None without a threshold."""
        return None if self.threshold is None else self.similarity >= self.threshold

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document."""
        return {
            "similarity": round(self.similarity, 6),
            "same": self.same,
            "threshold": self.threshold,
            "model": self.model,
            "a": self.a.as_json(),
            "b": self.b.as_json(),
        }


def compare(a: str | Path, b: str | Path, faces: Faces, *, threshold: float | None = None) -> Comparison:
    """Compare the largest face of each of two pictures.

    Arguments:
        threshold: None for the network's own.

    Raises:
        NoFaceError: a picture has none that can be aligned.
        ImageError, NotFoundError, StorageError: a picture can't be read.
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(f"threshold is {threshold}.", hint="Use a cosine similarity, -1 to 1.")
    faces.open()
    one, two = _side(a, faces), _side(b, faces)
    assert one.face.embedding is not None
    assert two.face.embedding is not None
    return Comparison(
        one,
        two,
        float(np.clip(one.face.embedding @ two.face.embedding, -1, 1)),
        faces.recognizer.task.threshold if threshold is None else threshold,
        faces.recognizer.name,
    )


def _side(path: str | Path, faces: Faces) -> Side:
    pixels = decode(path).pixels
    found = faces.detect(pixels)
    if len(found):
        sizes = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
        (face,) = faces.faces(pixels, found.take(np.array([sizes.argmax()])))
        if face.embedding is not None:
            return Side(Path(path), face, len(found))
    raise NoFaceError(f"There is no face in {path}.", hint="Lower --confidence, or give another picture.")
