"""Ages and genders in many pictures, one report each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.attributes import FaceAttributes
from edgeproof.core.errors import EdgeproofError
from edgeproof.imaging.decode import decode
from edgeproof.library.attributes.attributes import COVER, Attributes
from edgeproof.library.faces.faces import OF_ONE_PICTURE
from edgeproof.streams.ordered import map_ordered


@dataclass(frozen=True)
class ImageAttributes:
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
    faces: Sequence[FaceAttributes]
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


def look_at_images(
    paths: Iterable[Path], attributes: Attributes, *, workers: int = 1
) -> Iterator[ImageAttributes]:
    """Look at each picture, in order; one that can't be read is reported and the rest go on.

    Arguments:
        attributes: shared by the workers.
        workers: threads; each looks at one picture at a time.

    Raises:
        ModelError, EngineError: a network can't be used.
    """
    attributes.open()

    def one(path: Path) -> ImageAttributes:
        try:
            picture = decode(path, cover=COVER)
            return ImageAttributes(path, picture.width, picture.height, attributes.look(picture))
        except OF_ONE_PICTURE as error:
            return ImageAttributes(path, None, None, (), error)

    return map_ordered(one, paths, workers=workers)
