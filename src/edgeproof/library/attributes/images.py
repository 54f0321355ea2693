"""Ages and genders in many pictures, one report each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeproof.core.attributes import FaceAttributes
from edgeproof.imaging.decode import decode
from edgeproof.library.attributes.attributes import COVER, Attributes
from edgeproof.library.faces.faces import OF_ONE_PICTURE
from edgeproof.library.image_faces import ImageFaces
from edgeproof.streams.ordered import map_ordered


def look_at_images(
    paths: Iterable[Path], attributes: Attributes, *, workers: int = 1
) -> Iterator[ImageFaces[FaceAttributes]]:
    """Look at each picture, in order; one that can't be read is reported and the rest go on.

    Arguments:
        attributes: shared by the workers.
        workers: threads; each looks at one picture at a time.

    Raises:
        ModelError, EngineError: a network can't be used.
    """
    attributes.open()

    def one(path: Path) -> ImageFaces[FaceAttributes]:
        try:
            picture = decode(path, cover=COVER)
            return ImageFaces(path, picture.width, picture.height, attributes.look(picture))
        except OF_ONE_PICTURE as error:
            return ImageFaces(path, None, None, (), error)

    return map_ordered(one, paths, workers=workers)
