"""Where the master key comes from, and what is refused."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest

from edgeproof.core.errors import GalleryKeyError
from edgeproof.gallery.master_key import KeySource, default_key_file, new_key_file, read_key, stretched

_KEY = base64.b64encode(bytes(range(32))).decode()


def test_a_key_file_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    source = KeySource(tmp_path / "deep" / "gallery.key")
    key, how = source.fresh(tmp_path / "data")
    assert (len(key), how) == (32, None)
    assert source.fresh(tmp_path / "data")[0] == source.existing(None, tmp_path / "data") == key
    assert source.file is not None
    assert source.file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in source.file.parent.iterdir()] == ["gallery.key"]


def test_two_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    keys, gate = [], threading.Barrier(8)

    def make() -> None:
        gate.wait()
        keys.append(KeySource(tmp_path / "k" / "key").fresh(None)[0])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_key_file() == tmp_path / "edgeproof" / "gallery.key"
    of_file = KeySource().fresh(None)[0]
    assert read_key(default_key_file()) == of_file
    monkeypatch.setenv("EDGEPROOF_GALLERY_KEY", _KEY)
    assert KeySource().existing(None, None) == bytes(range(32))
    monkeypatch.setenv("EDGEPROOF_GALLERY_KEY_FILE", str(default_key_file()))
    assert KeySource().existing(None, None) == of_file
    monkeypatch.setenv("EDGEPROOF_GALLERY_PASSPHRASE", "correct horse")
    key, how = KeySource().fresh(None)
    assert how is not None
    assert KeySource().existing(how, None) == key != of_file
    assert KeySource(default_key_file()).fresh(None) == (of_file, None)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    new_key_file(path, None)
    path.chmod(mode)
    with pytest.raises(GalleryKeyError, match="read by others") as caught:
        read_key(path)
    assert "chmod 600" in caught.value.hint


def test_a_key_beside_the_gallery_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "key", tmp_path / "link" / "key"):
        with pytest.raises(GalleryKeyError, match="gallery's folder"):
            KeySource(path).fresh(tmp_path)
        with pytest.raises(GalleryKeyError, match="gallery's folder"):
            KeySource(path).existing(None, tmp_path)


@pytest.mark.parametrize("text", ["", "abc", "x" * 5000, _KEY[:-4], _KEY + "AAAA", "\x00\xff", "ä"])
def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(GalleryKeyError, match="no gallery key"):
        read_key(path)
    if text and "\x00" not in text:
        monkeypatch.setenv("EDGEPROOF_GALLERY_KEY", text)
        with pytest.raises(GalleryKeyError, match="EDGEPROOF_GALLERY_KEY"):
            KeySource().existing(None, None)


def test_a_key_that_is_not_there_says_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(GalleryKeyError, match="isn't there") as caught:
        KeySource(tmp_path / "none").existing(None, None)
    assert "--key-file" in caught.value.hint


@pytest.mark.parametrize(
    "how",
    ["", "scrypt", "scrypt:15:8:3", "md5:15:8:3:00", "scrypt:60:8:3:00", "scrypt:15:-8:3:00", "scrypt:a:8:3:00",
     "scrypt:15:8:3:zz", "scrypt:15:8:99:00", "scrypt:99999999:8:1:00"],
)  # fmt: skip
def test_a_note_on_the_passphrase_that_was_changed_is_refused(how: str) -> None:
    with pytest.raises(GalleryKeyError, match="can't be read"):
        stretched("correct horse", how)


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(GalleryKeyError, match="empty"):
        KeySource(passphrase=lambda: "").fresh(None)
