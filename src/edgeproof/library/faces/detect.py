"""Where the faces of many pictures are, one report each, and annotated copies of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from edgeproof.core.errors import DiskFullError
from edgeproof.core.faces import Face, FaceDetections
from edgeproof.core.protocols import Pixels
from edgeproof.imaging.boxes import stored_boxes
from edgeproof.imaging.decode import Picture, decode
from edgeproof.imaging.draw import draw
from edgeproof.imaging.find import find_photos
from edgeproof.library.drawn import copy_name, free_name, write_drawn
from edgeproof.library.faces.faces import OF_ONE_PICTURE, Faces
from edgeproof.library.image_faces import ImageFaces
from edgeproof.streams.ordered import map_ordered

Frame = Literal["upright", "stored"]


def find_pictures(sources: Sequence[str | Path], out: Path | None = None) -> list[tuple[Path, Path]]:
    """Every picture under `sources`, each with the relative name of its annotated copy; skips what lies in `out`.

    A copy of another format than JPEG and PNG is a PNG: its name gets that ending too. Of two with one name the later
    gets a number.

    Raises:
        NotFoundError: a source isn't there.
    """
    found: dict[Path, Path] = {}
    taken: set[Path] = set()
    for given in map(Path, sources):
        for photo in find_photos([given]):
            # Copies of an earlier run are not looked at again; what is named itself is.
            copied = out is not None and given.is_dir() and photo.resolve().is_relative_to(out.resolve())
            if photo in found or copied:
                continue
            name = photo.relative_to(given) if given.is_dir() else Path(photo.name)
            found[photo] = free_name(copy_name(name), taken)
    return list(found.items())


def detect_images(
    pictures: Iterable[tuple[Path, Path]],
    faces: Faces,
    *,
    frame: Frame = "upright",
    out: Path | None = None,
    workers: int = 1,
) -> Iterator[ImageFaces[Face]]:
    """Find the faces of each picture, in order; one that can't be read is reported and the rest go on.

    Arguments:
        pictures: each with the relative name of its copy, as `find_pictures` gives them.
        faces: shared by the workers.
        frame: "upright" gives boxes in the picture as a viewer shows it, "stored" in the pixels as the file has them.
        out: a folder for annotated copies, upright.
        workers: threads; each looks at one picture at a time.

    Raises:
        ModelError, EngineError: a network can't be used.
        DiskFullError: there is no space left for copies.
    """
    faces.open(embed=False)

    def one(item: tuple[Path, Path]) -> ImageFaces[Face]:
        path, name = item
        try:
            picture = decode(path)
            found = faces.detect(picture.pixels)
            if out is not None:
                write_drawn(_annotated(picture.pixels, found), out / name, path)
            return _report(path, picture, found, faces, frame)
        except DiskFullError:
            raise
        except OF_ONE_PICTURE as error:
            return ImageFaces(path, None, None, (), error)

    return map_ordered(one, pictures, workers=workers)


def _report(
    path: Path, picture: Picture, found: FaceDetections, faces: Faces, frame: Frame
) -> ImageFaces[Face]:
    width, height = picture.width, picture.height
    if frame == "stored":
        if picture.exif_orientation >= 5:
            width, height = height, width
        found = stored_boxes(found, picture.exif_orientation, width, height)
    rows = faces.faces(picture.pixels, found, embed=False, quality=False)
    return ImageFaces(path, width, height, rows)


def _annotated(pixels: Pixels, found: FaceDetections) -> Pixels:
    return draw(pixels, found.boxes, [f"{score:.2f}" for score in found.scores], found.landmarks)
