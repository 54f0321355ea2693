"""Packing writes a whole bundle or nothing, and replaces nothing but bundles."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles.sample_bundles import EVIDENCE, GOLDEN, MODEL, manifest, names, packed
from edgeproof.bundles.bundle import open_bundle, pack
from edgeproof.core.errors import DiskFullError, StorageError

WHOLE = ["o.edge", "o.edge/evidence.json", "o.edge/golden.npz", "o.edge/manifest.json", "o.edge/model.onnx"]


def test_an_older_bundle_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    packed(tmp_path / "o.edge")
    (tmp_path / "o.edge" / "model.onnx").rename(tmp_path / "o.edge" / "older.onnx")
    bundle = pack(tmp_path / "o.edge", manifest(name="newer"), model=b"new", golden=GOLDEN, evidence=EVIDENCE)
    assert open_bundle(bundle.path).manifest.name == "newer"
    assert bundle.model.read_bytes() == b"new"
    assert names(tmp_path) == WHOLE


def test_an_empty_folder_becomes_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "o.edge").mkdir()
    packed(tmp_path / "o.edge")
    assert names(tmp_path) == WHOLE


def test_missing_folders_are_made(tmp_path: Path) -> None:
    assert packed(tmp_path / "a" / "b" / "o.edge").model.read_bytes() == MODEL


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, what: str) -> None:
    target = tmp_path / "o.edge"
    if what == "file":
        target.write_text("mine")
    else:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "photo.jpg").write_text("mine")
        target.symlink_to(tmp_path / "mine") if what == "link" else (tmp_path / "mine").rename(target)
    before = names(tmp_path)
    with pytest.raises(StorageError, match="is not a bundle"):
        packed(target)
    assert names(tmp_path) == before


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("failing", ["write_bytes", "replace", "mkdir", "chmod"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, count: int, older: bool
) -> None:
    if older:
        packed(tmp_path / "o.edge")
    before = names(tmp_path)
    whole, calls = getattr(Path, failing), 0

    def fail(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, failing, fail)
        error = _refused(tmp_path / "o.edge")
    if error is None:
        assert calls < count  # nothing failed: so many calls aren't made
        assert open_bundle(tmp_path / "o.edge").manifest.name == "newer"
        return
    assert "disk is full" in error.message
    assert names(tmp_path) == before
    assert not older or open_bundle(tmp_path / "o.edge").manifest.name == "orientation"


def _refused(path: Path) -> DiskFullError | None:
    try:
        pack(path, manifest(name="newer"), model=b"n", golden=GOLDEN, evidence=EVIDENCE)
    except DiskFullError as error:
        return error
    return None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path) -> None:
    packed(small_disk / "o.edge")
    before = names(small_disk)
    with pytest.raises(DiskFullError):
        pack(small_disk / "o.edge", manifest(), model=os.urandom(1 << 20), golden=GOLDEN, evidence=EVIDENCE)
    assert names(small_disk) == before
    assert open_bundle(small_disk / "o.edge").model.read_bytes() == MODEL


_LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from bundles.sample_bundles import EVIDENCE, GOLDEN, manifest
from edgeproof.bundles.bundle import pack
from edgeproof.core.errors import DiskFullError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    pack(sys.argv[1], manifest(), model=bytes(1_000_000), golden=GOLDEN, evidence=EVIDENCE)
except DiskFullError as error:
    print(error.code)
"""


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "o.edge"), str(Path(__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["disk_full"], done.stderr
    assert names(tmp_path) == []
