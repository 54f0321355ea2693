"""Photos to tensors: some to calibrate with, the others as evidence, never both."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, ImageError
from edgeproof.core.files import storage_error
from edgeproof.core.protocols import Example, Task
from edgeproof.core.tensor import Array
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.streams.ordered import map_ordered

# Static INT8 from fewer is a guess. A share of the photos beyond that: evidence is what decides, and ranges
# change little after some dozens.
CALIBRATION_FEWEST, CALIBRATION_MOST, CALIBRATION_SHARE = 3, 40, 6
PHOTOS_MOST = 400


@dataclass(frozen=True)
class FitData:
    """The photos as rows on disk.

    Attributes:
        calibration: .npy of rows, one view of each calibration photo; None where there are too few photos.
        evidence: .npy of rows (photos * views, ...), views of one photo beside each other.
        truth: int64 (photos, views).
        calibration_photos: how many photos calibrate.
        skipped: what couldn't be used, with the reason.
        duplicates: photos left out because another has the same pixels.
    """

    calibration: Path | None
    evidence: Path
    truth: NDArray[np.int64]
    calibration_photos: int
    skipped: Sequence[tuple[Path, ImageError]]
    duplicates: int

    @property
    def photos(self) -> int:
        """How many photos are evidence."""
        return len(self.truth)


def gather(
    task: Task,
    folder: Path,
    work: Path,
    *,
    most: int = PHOTOS_MOST,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> FitData:
    """Read the photos under `folder`, choose by `seed` which calibrate, and write the rows to `work`.

    Raises:
        NotFoundError: `folder` isn't there.
        DataError: no photo can be used.
    """
    paths = find_photos([folder])
    random.Random(seed).shuffle(paths)
    paths = paths[:most]
    photos: list[Sequence[Example]] = []
    skipped: list[tuple[Path, ImageError]] = []
    seen: set[bytes] = set()

    def load(path: Path) -> Sequence[Example] | ImageError:
        try:
            return task.examples(decode(path, cover=task.cover).pixels)
        except ImageError as error:
            return error

    for done, (path, answer) in enumerate(
        zip(paths, map_ordered(load, paths, workers=workers), strict=True), 1
    ):
        progress(done, len(paths))
        if isinstance(answer, ImageError):
            skipped.append((path, answer))
        elif (digest := hashlib.sha256(answer[0].tensor.tobytes()).digest()) not in seen:
            seen.add(digest)
            photos.append(answer)
    if not photos:
        why = f" The first, {skipped[0][0]}: {skipped[0][1].message}" if skipped else ""
        raise DataError(
            f"There is no photo in {folder} that can be used.{why}",
            hint="Give a folder of photos with --data; a few hundred decide an accuracy clause.",
        )
    count = 0
    if len(photos) > CALIBRATION_FEWEST:
        count = int(np.clip(len(photos) // CALIBRATION_SHARE, CALIBRATION_FEWEST, CALIBRATION_MOST))
    try:
        return FitData(
            # One view of each photo, the turns in rotation: other photos widen ranges, other turns hardly do.
            calibration=_write(
                work / "calibration.npy", [[photo[i % len(photo)]] for i, photo in enumerate(photos[:count])]
            )
            if count
            else None,
            evidence=_write(work / "evidence.npy", photos[count:]),
            truth=np.array(
                [[example.truth for example in photo] for photo in photos[count:]], dtype=np.int64
            ),
            calibration_photos=count,
            skipped=skipped,
            duplicates=len(paths) - len(photos) - len(skipped),
        )
    except OSError as error:
        raise storage_error(work, error) from error


def _write(path: Path, photos: Sequence[Sequence[Example]]) -> Path:
    rows: Array = np.stack([example.tensor for photo in photos for example in photo])
    np.save(path, rows)
    return path
