"""How well people are told apart, on pairs of pictures with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, EdgeproofError, NoFaceError
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import OF_ONE_PICTURE, Faces
from edgeproof.streams.ordered import map_ordered
from edgeproof.verify.pairs import Pair, most_central
from edgeproof.verify.verification import Verification, verify


@dataclass(frozen=True)
class VerifiedPairs:
    """What `faces verify` found.

    Attributes:
        result: the figures.
        images: how many pictures there were, each once.
        failures: the pictures without a face that could be used, with the reason.
    """

    result: Verification
    images: int
    failures: Sequence[tuple[str, EdgeproofError]]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document."""
        failures = [{"path": name, "error": error.as_json()} for name, error in self.failures]
        return {**self.result.as_json(), "images": self.images, "failures": failures}


def embed_one(path: Path, faces: Faces) -> NDArray[np.float32]:
    """The embedding of the person whom a picture is of.

    Raises:
        NoFaceError: none was found that could be aligned.
        ImageError, NotFoundError, StorageError: the picture can't be read.
    """
    pixels = decode(path).pixels
    found = faces.detect(pixels)
    if len(found):
        chosen = found.take(np.array([most_central(found, pixels.shape[1], pixels.shape[0])]))
        embedding = faces.faces(pixels, chosen, quality=False)[0].embedding
        if embedding is not None:
            return embedding
    raise NoFaceError(f"There is no face in {path}.", hint="Lower --confidence, or give another picture.")


def verify_pairs(
    pairs: Sequence[Pair],
    images: str | Path,
    faces: Faces,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> VerifiedPairs:
    """Embed each picture once and judge the pairs.

    Arguments:
        images: the folder that the pairs' names are below.
        progress: called with how many pictures are done, of how many.

    Raises:
        DataError: too few pairs can be compared.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}.", hint="--images is the folder that the pairs' names are in."
        )
    faces.open()

    def one(name: str) -> NDArray[np.float32] | EdgeproofError:
        try:
            return embed_one(folder / name, faces)
        except OF_ONE_PICTURE as error:
            return error

    answers: dict[str, NDArray[np.float32] | EdgeproofError] = {}
    for name, answer in zip(names, map_ordered(one, names, workers=workers), strict=True):
        answers[name] = answer
        progress(len(answers), len(names))
    similarities = [_similarity(answers[pair.a], answers[pair.b]) for pair in pairs]
    failures = [(name, answer) for name, answer in answers.items() if isinstance(answer, EdgeproofError)]
    try:
        result = verify(similarities, [pair.same for pair in pairs], [pair.fold for pair in pairs])
    except DataError as error:
        reason = f" The first picture that failed: {failures[0][1].message}" if failures else ""
        raise DataError(error.message + reason, hint=error.hint) from error
    return VerifiedPairs(result, len(names), failures)


def _similarity(a: NDArray[np.float32] | EdgeproofError, b: NDArray[np.float32] | EdgeproofError) -> float:
    return float("nan") if isinstance(a, EdgeproofError) or isinstance(b, EdgeproofError) else float(a @ b)
