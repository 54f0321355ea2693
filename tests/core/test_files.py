"""A file or folder is written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeproof.core.errors import (
    DataError,
    DiskFullError,
    EdgeproofError,
    NotFoundError,
    StorageError,
)
from edgeproof.core.files import directory_atomically, sha256_of, storage_error, write_atomically


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _refuse(number: int) -> Any:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EACCES, StorageError),
        (errno.EROFS, StorageError),
        (errno.ENOENT, NotFoundError),
        (errno.EIO, StorageError),
        (errno.ENOTDIR, StorageError),
    ],
)
def test_an_error_of_the_system_says_where_why_and_what_to_do(
    number: int, kind: type[EdgeproofError]
) -> None:
    error = storage_error("/photos/a.jpg", OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert "/photos/a.jpg" in error.message
    assert error.hint


def test_a_file_is_written_with_its_folders_and_the_users_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a" / "b" / "c.bin", b"123")
    finally:
        os.umask(before)
    assert (tmp_path / "a/b/c.bin").read_bytes() == b"123"
    assert (tmp_path / "a/b/c.bin").stat().st_mode & 0o777 == 0o640
    assert _names(tmp_path) == ["a", "a/b", "a/b/c.bin"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_another_file_is_replaced_only_where_that_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:
        monkeypatch.setattr(os, "link", _refuse(errno.EPERM))
    file = tmp_path / "a.bin"
    write_atomically(file, b"old", overwrite=False)
    with pytest.raises(StorageError, match="is there already"):
        write_atomically(file, b"new", overwrite=False)
    assert file.read_bytes() == b"old"
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert _names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("step", ["fsync", "fdopen", "mkdir"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "mkdir" else os, step, _refuse(errno.ENOSPC))
        with pytest.raises(DiskFullError):
            write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def _put(folder: Path, content: str) -> None:
    with directory_atomically(folder) as building:
        (building / "sub").mkdir()
        (building / "sub" / "file").write_text(content)


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    for content in ("one", "two"):
        _put(tmp_path / "x" / "out", content)
        assert _names(tmp_path) == ["x", "x/out", "x/out/sub", "x/out/sub/file"]
        assert (tmp_path / "x/out/sub/file").read_text() == content


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError(errno.ENOSPC, "full"), DiskFullError),
        (DataError("no photos"), DataError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_folder_whose_building_fails_is_not_there(
    tmp_path: Path, raised: BaseException, seen: type[BaseException]
) -> None:
    _put(tmp_path / "out", "old")

    def build() -> None:
        with directory_atomically(tmp_path / "out") as building:
            (building / "half").write_text("half")
            raise raised

    with pytest.raises(seen):
        build()
    assert _names(tmp_path) == ["out", "out/sub", "out/sub/file"]


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("raised", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
def test_the_old_folder_stays_when_the_new_one_cant_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, raised: BaseException
) -> None:
    _put(tmp_path / "out", "old")
    replace, calls = Path.replace, 0

    def fail_once(self: Path, target: Any) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise raised
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail_once)
        with pytest.raises(KeyboardInterrupt if isinstance(raised, KeyboardInterrupt) else StorageError):
            _put(tmp_path / "out", "new")
    assert _names(tmp_path) == ["out", "out/sub", "out/sub/file"]
    assert (tmp_path / "out/sub/file").read_text() == "old"


_FULL = """
import resource, sys
from pathlib import Path
from edgeproof.core.errors import DiskFullError
from edgeproof.core.files import directory_atomically, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path(sys.argv[1])
for write in ("file", "folder"):
    try:
        if write == "file":
            write_atomically(folder / "a.bin", bytes(1_000_000))
        else:
            with directory_atomically(folder / "out") as building:
                (building / "b.bin").write_bytes(bytes(1_000_000))
    except DiskFullError as error:
        print(error.code)
"""


def test_a_write_that_the_system_cuts_short_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["disk_full", "disk_full"], done.stderr
    assert _names(tmp_path) == []


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert sha256_of(tmp_path / "abc") == known
