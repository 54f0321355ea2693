"""Pictures with what was found drawn in, as files: their names, their bytes, and never over what was looked at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from edgeproof.core.files import write_atomically
from edgeproof.core.protocols import Pixels

_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# What JPEG can hold at the most.
_JPEG_SIDE = 65_500


def copy_name(name: Path) -> Path:
    """The name of a drawn copy: a picture of another format than JPEG and PNG becomes a PNG, which it then says too."""
    return name if name.suffix.lower() in _FORMATS else name.with_name(f"{name.name}.png")


def free_name(name: Path, taken: set[Path]) -> Path:
    """That name, or one with a number where it is taken; it is taken then."""
    number, free = 2, name
    while free in taken:
        free, number = name.with_name(f"{name.stem}-{number}{name.suffix}"), number + 1
    taken.add(free)
    return free


def beside(path: Path, source: Path | None) -> Path:
    """Another name, where that one is the very file that was looked at: nobody wants that overwritten."""
    own = source is not None and path.exists() and path.samefile(source)
    return path.with_name(f"{path.stem}-drawn{path.suffix}") if own else path


def write_drawn(pixels: Pixels, path: Path, source: Path | None) -> Path:
    """Write a drawn copy, uint8 (H, W, 3) RGB, as its name's end says, whole or not at all; gives where it is.

    Arguments:
        source: the file that was looked at, which stays what it is.

    Raises:
        StorageError: it can't be written there.
    """
    from PIL import Image

    image, target = Image.fromarray(pixels), beside(path, source)
    kind = "PNG" if max(image.size) > _JPEG_SIDE else _FORMATS.get(path.suffix.lower(), "PNG")
    file = io.BytesIO()
    options: dict[str, Any] = {"quality": 90} if kind == "JPEG" else {}
    image.save(file, kind, **options)
    write_atomically(target, file.getvalue())
    return target
