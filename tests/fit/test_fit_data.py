"""Photos to rows: which calibrate, which are evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import DataError, NotFoundError
from edgeproof.core.tensor import Array
from edgeproof.fit.data import FitData, gather
from edgeproof.fit.rows import Rows, RowWriter
from edgeproof.fit.targets.orientation import OrientationFit
from edgeproof.tasks.orientation import OrientationTask


def photos(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def read(folder: Path, work: Path, *, most: int | None = None, seed: int = 0) -> FitData:
    return gather(OrientationFit(OrientationTask(), folder), folder, work, most=most, seed=seed)


@pytest.mark.parametrize(
    ("count", "calibration"), [(1, 0), (3, 0), (4, 3), (6, 3), (60, 10), (250, 40), (300, 40)]
)
def test_the_split(tmp_path: Path, count: int, calibration: int) -> None:
    data = read(photos(tmp_path / "in", count), tmp_path)
    assert (data.calibration_photos, data.photos) == (calibration, count - calibration)
    rows = Rows(data.rows)
    assert len(rows) == count * 4
    assert len(data.places) == data.photos * 4
    assert {row.shape for row in rows} == {(3, 192, 192)}
    assert [[view.context for view in views] for views in data.views] == [[0, 1, 2, 3]] * data.photos
    evidence = {rows[place].tobytes() for place in data.places}
    assert not any(rows[place].tobytes() in evidence for place in data.calibration)
    assert len(np.load(data.timing)) == min(8, data.photos * 4)


def test_what_is_kept_of_a_view_takes_no_memory(tmp_path: Path) -> None:
    view = read(photos(tmp_path / "in", 4), tmp_path).views[0][0]
    assert view.tensor.shape == (3, 192, 192)
    assert view.tensor.strides == (0, 0, 0)


@pytest.mark.parametrize(
    ("row", "stored"),
    [
        (np.array([0.0, 3.0, 255.0], np.float32), "uint8"),
        (np.array([0.5, 3.0], np.float32), "float32"),
        (np.array([-1.0, 3.0], np.float32), "float32"),
        (np.array([1.0, 256.0], np.float32), "float32"),
        (np.array([1.0, np.nan], np.float32), "float32"),
        (np.zeros((0, 2), np.float32), "uint8"),
    ],
)
def test_rows_come_back_as_they_were(tmp_path: Path, row: Array, stored: str) -> None:
    other = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
    with RowWriter(tmp_path / "rows.npz") as writer:
        writer.add(row)
        writer.add(other)
    rows = Rows(tmp_path / "rows.npz")
    assert len(rows) == writer.count == 2
    np.testing.assert_array_equal(rows[0], row)
    np.testing.assert_array_equal(rows[1], other)
    assert rows[0].dtype == stored


def test_the_seed_decides_which_photos_calibrate(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 30)
    first = [read(folder, tmp_path, seed=seed).paths for seed in (1, 1, 2)]
    assert first[0] == first[1]
    assert first[0] != first[2]


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    assert read(photos(tmp_path / "in", 20), tmp_path, most=8).photos == 5


def test_the_same_photo_twice_counts_once(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 5)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    data = read(folder, tmp_path)
    assert (data.duplicates, data.photos + data.calibration_photos) == (1, 5)


def test_photos_stop_where_their_room_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeproof.fit.data._ROWS_BYTES", 5 * 4 * 3 * 192 * 192 - 1)
    data = read(photos(tmp_path / "in", 20), tmp_path)
    assert data.photos + data.calibration_photos == 5
    assert (data.left_out, data.duplicates) == (15, 0)


def test_broken_photos_are_told_and_the_others_used(tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 5)
    (folder / "broken.jpg").write_bytes(b"")
    data = read(folder, tmp_path)
    assert [path.name for path, _ in data.skipped] == ["broken.jpg"]
    assert data.photos + data.calibration_photos == 5


def test_nothing_to_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo"):
        read(photos(tmp_path / "in", 0), tmp_path)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        read(tmp_path / "in", tmp_path)
    with pytest.raises(NotFoundError):
        read(tmp_path / "nowhere", tmp_path)
