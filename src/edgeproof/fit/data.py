"""Photos to rows: some to calibrate with, the others as evidence, never both."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeproof.core.errors import DataError, EdgeproofError, ImageError, NoFaceError, NotFoundError
from edgeproof.core.files import storage_error
from edgeproof.core.tensor import Array
from edgeproof.fit.rows import Rows, RowWriter
from edgeproof.fit.targets.protocol import FitTask, View
from edgeproof.streams.ordered import map_ordered

# Static INT8 from fewer is a guess. A share of the photos beyond that: evidence is what decides, and ranges
# change little after some dozens.
CALIBRATION_FEWEST, CALIBRATION_MOST, CALIBRATION_SHARE = 3, 40, 6
# Rows of 640 x 640 in float32 take 5 MB each: this many bytes of them, and no more photos are read.
_ROWS_BYTES = 2 << 30
_TIMED = 8  # rows that the measuring processes go round

_OF_ONE_PHOTO = (ImageError, NoFaceError, NotFoundError)


@dataclass(frozen=True)
class FitData:
    """The photos as rows on disk.

    Attributes:
        rows: all views of all photos, photo by photo.
        calibration: which of them calibrate, one of each calibration photo; none where there are too few photos.
        first: the first row of the evidence, which goes on to the last.
        timing: .npy (rows, ...) to measure on, of the shape that is most frequent.
        paths: of the evidence photos.
        views: of each of them, without what the network is shown.
        skipped: what couldn't be used, with the reason.
        duplicates: photos left out because another has the same pixels.
        left_out: photos that weren't read, because the others take all the room that rows may take.
    """

    rows: Path
    calibration: Sequence[int]
    first: int
    timing: Path
    paths: Sequence[Path]
    views: Sequence[Sequence[View]]
    skipped: Sequence[tuple[Path, EdgeproofError]]
    duplicates: int
    left_out: int

    @property
    def photos(self) -> int:
        """How many photos are evidence."""
        return len(self.paths)

    @property
    def calibration_photos(self) -> int:
        """How many photos calibrate."""
        return len(self.calibration)

    @property
    def places(self) -> range:
        """The rows of the evidence."""
        return range(self.first, self.first + sum(map(len, self.views)))


def gather(
    task: FitTask,
    folder: Path,
    work: Path,
    *,
    most: int | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> FitData:
    """Read the photos under `folder`, choose by `seed` which calibrate, and write the rows to `work`.

    Arguments:
        most: photos, at the most; None for the task's own choice.

    Raises:
        NotFoundError: `folder` isn't there.
        DataError: no photo can be used, or those that can tell nothing.
    """
    if not folder.exists():
        raise NotFoundError(f"{folder} isn't there.", hint="Check the spelling of the path.")
    paths = task.photos(random.Random(seed), most)
    skipped: list[tuple[Path, EdgeproofError]] = []
    seen: set[bytes] = set()
    kept: list[tuple[Path, list[View]]] = []
    left_out = 0

    def load(path: Path) -> Sequence[View] | EdgeproofError:
        try:
            return task.views(path)
        except _OF_ONE_PHOTO as error:
            return error

    file = work / "photos.npz"
    try:
        with RowWriter(file) as writer:
            for done, (path, answer) in enumerate(
                zip(paths, map_ordered(load, paths, workers=workers), strict=True), 1
            ):
                progress(done, len(paths))
                if writer.bytes > _ROWS_BYTES:
                    left_out = len(paths) - done + 1
                    break
                if isinstance(answer, EdgeproofError):
                    skipped.append((path, answer))
                elif (digest := hashlib.sha256(answer[0].tensor.tobytes()).digest()) not in seen:
                    seen.add(digest)
                    for view in answer:
                        writer.add(view.tensor)
                    kept.append((path, [_without_pixels(view) for view in answer]))
        if not kept:
            why = f" The first, {skipped[0][0]}: {skipped[0][1].message}" if skipped else ""
            raise DataError(
                f"There is no photo in {folder} that can be used.{why}",
                hint="Give a folder of photos with --data; a few hundred decide an accuracy clause.",
            )
        calibration, first = _split([views for _, views in kept])
        evidence = kept[len(calibration) :]
        views = [photo_views for _, photo_views in evidence]
        task.check([path for path, _ in evidence], views)
        _write_timing(work / "timing.npy", Rows(file), first, [view for row in views for view in row])
        return FitData(
            rows=file,
            calibration=calibration,
            first=first,
            timing=work / "timing.npy",
            paths=[path for path, _ in evidence],
            views=views,
            skipped=skipped,
            duplicates=len(paths) - left_out - len(kept) - len(skipped),
            left_out=left_out,
        )
    except OSError as error:
        raise storage_error(work, error) from error


def _split(photos: Sequence[Sequence[View]]) -> tuple[list[int], int]:
    """The rows that calibrate, of the first photos, and the first row of the others."""
    count = 0
    if len(photos) > CALIBRATION_FEWEST:
        count = int(np.clip(len(photos) // CALIBRATION_SHARE, CALIBRATION_FEWEST, CALIBRATION_MOST))
    starts = [0, *np.cumsum([len(views) for views in photos]).tolist()]
    # One view of each photo, the views in rotation: other photos widen ranges, other turns hardly do.
    return [starts[photo] + photo % len(photos[photo]) for photo in range(count)], starts[count]


def _write_timing(path: Path, rows: Rows, first: int, views: Sequence[View]) -> None:
    """Times of several sizes would be a mixture, whose percentiles say little."""
    shapes = [view.tensor.shape for view in views]
    (shape, _), *_ = Counter(shapes).most_common(1)
    places = [first + place for place, one in enumerate(shapes) if one == shape][:_TIMED]
    np.save(path, np.stack([rows[place] for place in places]))


def _without_pixels(view: View) -> View:
    """The view with a tensor of the same shape that takes no memory: decoders read its shape."""
    empty: Array = np.broadcast_to(np.zeros((), view.tensor.dtype), view.tensor.shape)
    return replace(view, tensor=empty)
