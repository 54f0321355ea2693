"""A file while it comes: copied whole or not, and what a full disk leaves of it."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from edgeproof.bundles.part import Part, copy
from edgeproof.core.errors import DiskFullError, DownloadError, StorageError, WrongDigestError

DATA = bytes(range(256)) * 1200
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_copying_from_a_folder(tmp_path: Path) -> None:
    source, part = tmp_path / "source", tmp_path / "part"
    with pytest.raises(DownloadError, match="mirror has no"):
        copy(source, part, size=None, progress=lambda *_: None)
    source.write_bytes(DATA)
    assert copy(source, part, size=len(DATA), progress=lambda *_: None) == DIGEST
    with pytest.raises(WrongDigestError, match="307,200"):
        copy(source, part, size=5, progress=lambda *_: None)
    assert not part.exists()
    with pytest.raises(StorageError):
        copy(tmp_path, part, size=None, progress=lambda *_: None)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "source").write_bytes(DATA)
    with pytest.raises(StorageError) as caught:
        copy(tmp_path / "source", tmp_path / "part", size=None, progress=lambda *_: None)
    assert isinstance(caught.value, DiskFullError) == (code != errno.EIO)
    if code != errno.EIO:
        assert not (tmp_path / "part").exists()
        assert "EDGEPROOF_HOME" in caught.value.hint


@pytest.mark.parametrize("here", [0, 1, 100_000, len(DATA)])
def test_a_part_goes_on_with_the_digest_of_the_whole(tmp_path: Path, here: int) -> None:
    path = tmp_path / "part"
    path.write_bytes(DATA[:here])
    part = Part(path, keep=True)
    assert part.size == here
    part.write(DATA[here:])
    assert part.finish() == DIGEST
    part.close()
    assert path.read_bytes() == DATA
