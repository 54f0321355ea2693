"""Which picture files a list of files and folders means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeproof.core.errors import NotFoundError
from edgeproof.core.files import storage_error

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


def find_photos(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The picture files among `paths` and in the folders among them, each once.

    A file that is named is taken whatever its suffix. Folders are walked through, in sorted order, for
    known suffixes; what is hidden (its name begins with a dot) in them is passed over, and so are links
    that lead to a folder already seen.

    Raises:
        NotFoundError: one of the paths isn't there.
        StorageError: a folder can't be read.
    """
    found: dict[str, Path] = {}
    folders: set[str] = set()
    for given in paths:
        path = Path(given)
        try:
            path.stat()
        except OSError as error:
            raise storage_error(path, error) from error
        except ValueError as error:  # a path with a NUL in it
            raise NotFoundError(
                f"{str(given)!r} isn't a path.", hint="Check the spelling of the path."
            ) from error
        for photo in _walk(path, folders) if path.is_dir() else [path]:
            found.setdefault(os.path.realpath(photo), photo)
    return list(found.values())


def _walk(top: Path, seen: set[str]) -> Iterator[Path]:
    waiting = [top]  # not recursion: a tree may be deeper than Python's stack
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        folders = []
        try:
            for path in sorted(folder.iterdir()):
                if path.name.startswith("."):
                    continue
                if path.is_dir():
                    folders.append(path)
                elif path.suffix.lower() in SUFFIXES and path.is_file():
                    yield path
        except OSError as error:
            raise storage_error(folder, error) from error
        waiting.extend(reversed(folders))
