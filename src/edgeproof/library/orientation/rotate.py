"""Which photos of a collection are turned, and upright copies of them. The originals are never touched."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import DiskFullError, EdgeproofError
from edgeproof.core.files import storage_error, write_atomically
from edgeproof.core.results import OrientationResult
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.turn import turned_copy
from edgeproof.streams.ordered import map_ordered
from edgeproof.tasks.orientation import Orientation

_LARGE_BYTES = 1 << 20


@dataclass(frozen=True)
class PhotoReport:
    """What was found out about one photo: a result or an error, never both.

    Attributes:
        path: as given, or as found below a folder that was given.
        result: how it stands.
        exif_orientation: its EXIF orientation, 1 to 8; None where it couldn't be read.
        error: why it couldn't be looked at, or why its copy couldn't be written.
        copy: the upright copy, where one was asked for.
    """

    path: Path
    result: OrientationResult | None
    exif_orientation: int | None
    error: EdgeproofError | None
    copy: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """One row of CONTRACT's `photos`."""
        result = self.result
        return {
            "path": str(self.path),
            "turn": result.turn if result else None,
            "confidence": round(result.confidence, 6) if result else None,
            "decision": "error" if self.error or not result else result.decision,
            "exif_orientation": self.exif_orientation,
            "error": self.error.as_json() if self.error else None,
            "copy": str(self.copy) if self.copy else None,
        }


def find_for_rotation(paths: Sequence[str | Path], out: Path | None = None) -> list[tuple[Path, Path]]:
    """Every photo under `paths`, each with the relative name that its copy gets; skips what lies in `out`.

    Raises:
        NotFoundError: a path isn't there.
    """
    found: dict[Path, Path] = {}
    for given in map(Path, paths):
        for photo in find_photos([given]):
            if out is None or not photo.resolve().is_relative_to(out.resolve()):
                found.setdefault(photo, photo.relative_to(given) if given.is_dir() else Path(photo.name))
    return list(found.items())


def rotate(
    photos: Iterable[tuple[Path, Path]],
    orientation: Orientation,
    *,
    out: Path | None = None,
    workers: int = 1,
) -> Iterator[PhotoReport]:
    """Look at each photo and, with `out`, write a copy of it there: upright where the answer is sure.

    Arguments:
        photos: from `find_for_rotation`.
        orientation: shared by the workers.
        workers: threads; each looks at one photo at a time.

    A photo that can't be read, or its copy not written, is reported and the rest go on.

    Raises:
        DiskFullError: there is no space left for copies.
    """
    orientation.open()
    one_large = threading.Lock()

    def one(photo: tuple[Path, Path]) -> PhotoReport:
        path, name = photo
        with one_large if _is_large(path) else nullcontext():
            report = _look(path, orientation)
        if out is None or report.error or report.result is None:
            return report
        try:
            copy = _write_copy(path, report.result, out / name)
        except DiskFullError:
            raise  # every later copy would fail in the same way
        except EdgeproofError as error:
            return PhotoReport(path, report.result, report.exif_orientation, error)
        return PhotoReport(path, report.result, report.exif_orientation, None, copy)

    return map_ordered(one, photos, workers=workers)


def _is_large(path: Path) -> bool:
    # From here on a file's own bytes, and what a progressive JPEG or a PNG unpacks to, matter against the
    # memory of the network: the workers take turns with these.
    try:
        return path.stat().st_size > _LARGE_BYTES
    except OSError:
        return False


def _look(path: Path, orientation: Orientation) -> PhotoReport:
    try:
        result, exif = orientation.look_at(path)
    except EdgeproofError as error:
        return PhotoReport(path, None, None, error)
    return PhotoReport(path, result, exif, None)


def _write_copy(path: Path, result: OrientationResult, copy: Path) -> Path:
    turn = result.turn if result.decision == "turn" else 0
    try:
        data = path.read_bytes()
        if turn:
            data = turned_copy(data, turn)
        if not (copy.is_file() and copy.read_bytes() == data):  # a second run finds its own copies
            write_atomically(copy, data, overwrite=False)
            shutil.copystat(path, copy)  # photo managers sort by the file's date where EXIF has none
    except OSError as error:
        raise storage_error(path, error) from error
    return copy


def summarize(reports: Iterable[PhotoReport], seconds: float) -> dict[str, Any]:
    """CONTRACT's `summary`."""
    decisions = [report.as_json()["decision"] for report in reports]
    return {
        "photos": len(decisions),
        "keep": decisions.count("keep"),
        "turn": decisions.count("turn"),
        "unsure": decisions.count("unsure"),
        "errors": decisions.count("error"),
        "seconds": round(seconds, 3),
    }
