"""What was found in one picture, whatever is told of its faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgeproof.core.attributes import FaceAttributes
from edgeproof.core.errors import EdgeproofError
from edgeproof.core.faces import Face

F = TypeVar("F", Face, FaceAttributes)


@dataclass(frozen=True)
class ImageFaces(Generic[F]):
    """What was found in one picture.

    Attributes:
        path: as given, or as found below a folder that was given.
        width, height: pixels of the upright picture; None where it couldn't be read.
        faces: best first.
        error: why it couldn't be looked at.
    """

    path: Path
    width: int | None
    height: int | None
    faces: Sequence[F]
    error: EdgeproofError | None = None

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `images`."""
        return {
            "path": str(self.path),
            "width": self.width,
            "height": self.height,
            "faces": [face.as_json() for face in self.faces],
            "error": self.error.as_json() if self.error else None,
        }
