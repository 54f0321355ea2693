"""The pictures that a task or a network is measured with."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from edgeproof.core.errors import DataError, EdgeproofError
from edgeproof.imaging.decode import Picture, decode
from edgeproof.imaging.find import find_photos

MOST = 8
_MADE = (1280, 960)


def readable(source: str | os.PathLike[str]) -> tuple[list[Path], list[Picture]]:
    """The first few pictures of a file or folder that can be decoded, and what they show.

    Raises:
        NotFoundError: it isn't there.
        ImageError: it is one picture, and can't be decoded.
        DataError: a folder without one that can.
    """
    files, pictures = [], []
    last: EdgeproofError | None = None
    for file in find_photos([source]):
        try:
            pictures.append(decode(file))
            files.append(file)
        except EdgeproofError as error:
            last = error
        if len(files) == MOST:
            break
    if not files:
        if last is not None and Path(source).is_file():
            raise last
        raise DataError(
            f"There is no picture in {source} that can be read.",
            hint=f"The last one: {last.message}" if last else "Give a picture, or a folder with some.",
        )
    return files, pictures


def made(folder: Path, seed: int) -> Path:
    """A picture of soft blots by chance, 1280 x 960 JPEG, for who has none at hand; nothing is to be found in it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    soft = np.asarray(small.resize(_MADE, Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(soft + rng.integers(-8, 9, soft.shape), 0, 255).astype(np.uint8)
    file = folder / "made.jpg"
    Image.fromarray(noisy).save(file, quality=90)
    return file
