"""Photos to rows: which calibrate, which are evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import DataError, NotFoundError
from edgeproof.fit.data import gather
from edgeproof.tasks.orientation import OrientationTask

TASK = OrientationTask()


def photos(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize(
    ("count", "calibration"), [(1, 0), (3, 0), (4, 3), (6, 3), (60, 10), (250, 40), (300, 40)]
)
def test_the_split(tmp_path: Path, count: int, calibration: int) -> None:
    data = gather(TASK, photos(tmp_path / "in", count), tmp_path)
    assert (data.calibration_photos, data.photos) == (calibration, count - calibration)
    assert (data.calibration is not None) == (calibration > 0)
    rows = np.load(data.evidence)
    assert rows.shape == (data.photos * 4, 3, 192, 192)
    assert rows.dtype == np.uint8
    assert data.truth.tolist() == [[0, 1, 2, 3]] * data.photos
    if data.calibration:
        evidence = {row.tobytes() for row in rows}
        assert not any(row.tobytes() in evidence for row in np.load(data.calibration))


def test_the_seed_decides_which_photos_calibrate(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 30)

    def rows(seed: int) -> bytes:
        return np.load(gather(TASK, folder, tmp_path, seed=seed).evidence).tobytes()

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    assert gather(TASK, photos(tmp_path / "in", 20), tmp_path, most=8).photos == 5


def test_the_same_photo_twice_counts_once(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 5)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    data = gather(TASK, folder, tmp_path)
    assert (data.duplicates, data.photos + data.calibration_photos) == (1, 5)


def test_broken_photos_are_told_and_the_others_used(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 5)
    (folder / "broken.jpg").write_bytes(b"")
    data = gather(TASK, folder, tmp_path)
    assert [path.name for path, _ in data.skipped] == ["broken.jpg"]
    assert data.photos + data.calibration_photos == 5


def test_nothing_to_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo"):
        gather(TASK, photos(tmp_path / "in", 0), tmp_path)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        gather(TASK, tmp_path / "in", tmp_path)
    with pytest.raises(NotFoundError):
        gather(TASK, tmp_path / "nowhere", tmp_path)
