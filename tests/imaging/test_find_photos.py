"""Which files a list of paths means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeproof.core.errors import NotFoundError, StorageError
from edgeproof.imaging.find import find_photos


def _touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folders_are_walked_in_order_for_known_suffixes(tmp_path: Path) -> None:
    _touch(tmp_path, "b.JPG", "a.png", "notes.txt", "sub/c.tiff", "sub/.hidden.jpg", ".hidden/d.jpg", "z.jpe")
    (tmp_path / "folder.jpg").mkdir()
    found = find_photos([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a.png",
        "b.JPG",
        "z.jpe",
        "sub/c.tiff",
    ]


def test_named_files_are_taken_whatever_their_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "notes.txt", ".hidden.jpg")
    files = [tmp_path / "notes.txt", tmp_path / ".hidden.jpg"]
    assert find_photos(map(str, files)) == files


def test_each_file_comes_once_and_in_the_order_given(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    found = find_photos([tmp_path / "b.jpg", tmp_path, tmp_path / "sub", tmp_path / "a.jpg"])
    assert [path.name for path in found] == ["b.jpg", "a.jpg", "c.jpg"]


@pytest.mark.parametrize("path", ["nowhere", "nul\0", "a.jpg/b.jpg"])
def test_a_missing_path_is_an_error(tmp_path: Path, path: str) -> None:
    _touch(tmp_path, "a.jpg")
    with pytest.raises(StorageError if "/" in path else NotFoundError):
        find_photos([tmp_path / path])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0)
    with pytest.raises(StorageError):
        find_photos([tmp_path])
