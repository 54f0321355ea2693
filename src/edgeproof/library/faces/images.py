"""The faces of many pictures, one report each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from edgeproof.core.errors import UsageError
from edgeproof.core.faces import Face
from edgeproof.core.files import write_atomically
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import OF_ONE_PICTURE, Faces
from edgeproof.library.image_faces import ImageFaces
from edgeproof.streams.ordered import map_ordered


def embed_images(paths: Iterable[Path], faces: Faces, *, workers: int = 1) -> Iterator[ImageFaces[Face]]:
    """Find and embed the faces of each picture, in order; one that can't be read is reported and the rest go on.

    Arguments:
        faces: shared by the workers.
        workers: threads; each looks at one picture at a time.

    Raises:
        ModelError, EngineError: a network can't be used, or the detector gives no landmarks.
    """
    faces.open()

    def one(path: Path) -> ImageFaces[Face]:
        try:
            picture = decode(path)
            found = faces.detect(picture.pixels)
            return ImageFaces(path, picture.width, picture.height, faces.faces(picture.pixels, found))
        except OF_ONE_PICTURE as error:
            return ImageFaces(path, None, None, (), error)

    return map_ordered(one, paths, workers=workers)


def save_embeddings(path: str | Path, reports: Sequence[ImageFaces[Face]], faces: Faces) -> None:
    """Write all embeddings to one .npz file, whole or not at all.

    It holds `embeddings` float32 (N, D), `boxes` float32 (N, 4), `scores` float32 (N,) and `quality` float32 (N,) of
    all faces, `image` (N,), the number of each one's picture in `paths`, and `model`, the SHA-256 of the network.

    Raises:
        StorageError: it can't be written there.
    """
    check_npz(path)
    rows = [(number, face) for number, report in enumerate(reports) for face in report.faces]
    rows = [(number, face) for number, face in rows if face.embedding is not None]
    vectors = [face.embedding for _, face in rows if face.embedding is not None]
    buffer = BytesIO()
    np.savez(
        buffer,
        embeddings=np.array(vectors, np.float32).reshape(len(rows), faces.recognizer.dimensions),
        boxes=np.array([face.bbox for _, face in rows], np.float32).reshape(-1, 4),
        scores=np.array([face.det_score for _, face in rows], np.float32),
        quality=np.array([face.quality.score if face.quality else np.nan for _, face in rows], np.float32),
        image=np.array([number for number, _ in rows], np.int64),
        paths=np.array([str(report.path) for report in reports], np.str_),
        model=np.array(faces.recognizer.digest),
    )
    write_atomically(path, buffer.getvalue())


def check_npz(path: str | Path) -> None:
    """Check, before any work is done for it, that a path ends in .npz.

    Raises:
        UsageError: it doesn't, and numpy would not find the file again.
    """
    if Path(path).suffix.lower() != ".npz":
        raise UsageError(f"--out is {str(path)!r}.", hint="Give a name that ends in .npz.")
