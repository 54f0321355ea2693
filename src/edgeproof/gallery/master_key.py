"""Where the master key comes from: a file, the environment, or a passphrase. Never from beside the store."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgeproof.core.errors import GalleryKeyError
from edgeproof.core.files import storage_error

_BYTES = 32
_LARGEST_FILE = 4096
# OWASP's password storage recommendation for scrypt with 32 MB of memory: N = 2^15, r = 8, p = 3.
_SCRYPT = (15, 8, 3)
_MOST_MEMORY = 1 << 30


@dataclass(frozen=True)
class KeySource:
    """How to come by a master key.

    Attributes:
        file: a file of 32 bytes as base64; None: what the environment says, else the user's own key file.
        passphrase: gives the passphrase when asked; None where it comes from the environment or isn't used.

    The environment: `EDGEPROOF_GALLERY_KEY_FILE` (a path), `EDGEPROOF_GALLERY_KEY` (base64),
    `EDGEPROOF_GALLERY_PASSPHRASE`.
    """

    file: Path | None = None
    passphrase: Callable[[], str] | None = field(default=None, repr=False)

    def fresh(self, store_folder: Path | None) -> tuple[bytes, str | None]:
        """The master key of a new gallery, and how a passphrase gave it.

        A key file that isn't there is made, readable by its owner alone.

        Raises:
            GalleryKeyError: the file is in the store's folder, open to others, or holds no key.
        """
        if text := self._phrase():
            how = ":".join(["scrypt", *map(str, _SCRYPT), secrets.token_bytes(16).hex()])
            return stretched(text, how), how
        if (key := self._given()) is not None:
            return key, None
        path = self._path()
        _refuse_beside(path, store_folder)
        if not path.exists():
            _make(path)
        return read_key(path), None

    def existing(self, how: str | None, store_folder: Path | None) -> bytes:
        """The master key of a gallery that is there.

        Raises:
            GalleryKeyError: nothing was given that this gallery's key can come from.
        """
        if how is not None:
            text = self._phrase()
            if not text:
                raise GalleryKeyError(
                    "This gallery was made with a passphrase, and none was given.",
                    hint="Add --passphrase, or set EDGEPROOF_GALLERY_PASSPHRASE.",
                )
            return stretched(text, how)
        if (key := self._given()) is not None:
            return key
        path = self._path()
        _refuse_beside(path, store_folder)
        return read_key(path)

    def _phrase(self) -> str | None:
        if self.passphrase is not None:
            text = self.passphrase()
            if not text:
                raise GalleryKeyError("The passphrase is empty.", hint="Choose one of several words.")
            return text
        return None if self.file else os.environ.get("EDGEPROOF_GALLERY_PASSPHRASE")

    def _given(self) -> bytes | None:
        text = os.environ.get("EDGEPROOF_GALLERY_KEY")
        if self.file or os.environ.get("EDGEPROOF_GALLERY_KEY_FILE") or not text:
            return None
        return _decoded(text, "EDGEPROOF_GALLERY_KEY")

    def _path(self) -> Path:
        return self.file or Path(os.environ.get("EDGEPROOF_GALLERY_KEY_FILE") or default_key_file())


def default_key_file() -> Path:
    """The user's own key file, apart from where galleries lie by default."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "edgeproof" / "gallery.key"


def new_key_file(path: Path, store_folder: Path | None) -> bytes:
    """Make a key file that wasn't there, and give its key.

    Raises:
        GalleryKeyError: it is there already, or in the store's folder.
    """
    _refuse_beside(path, store_folder)
    if path.exists():
        raise GalleryKeyError(f"{path} is there already.", hint="Name a new file for the new key.")
    _make(path)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file.

    Raises:
        GalleryKeyError: it isn't there, others may read it, or it holds no key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_LARGEST_FILE)
    except FileNotFoundError as error:
        raise GalleryKeyError(
            f"The gallery's key file {path} isn't there.",
            hint="Give the one it was made with: --key-file, EDGEPROOF_GALLERY_KEY_FILE or EDGEPROOF_GALLERY_KEY.",
        ) from error
    except OSError as error:
        raise storage_error(path, error) from error
    if stat.S_IMODE(mode) & 0o077:
        raise GalleryKeyError(
            f"The key file {path} can be read by others (mode {stat.S_IMODE(mode):04o}).",
            hint=f"chmod 600 {path}; if others may have seen it, change it with `edgeproof faces rekey`.",
        )
    return _decoded(text.decode("ascii", errors="replace"), str(path))


def stretched(passphrase: str, how: str) -> bytes:
    """The master key that a passphrase gives, by scrypt (RFC 7914).

    Raises:
        GalleryKeyError: `how` can't be read, or asks for more than 1 GiB of memory.
    """
    try:
        name, log_n, r, p, salt = how.split(":")
        n, block, parallel = 1 << int(log_n), int(r), int(p)
        memory = 128 * block * (n + parallel)
        if name != "scrypt" or not 0 < memory < _MOST_MEMORY or parallel > 16:
            raise ValueError(how)
        text = passphrase.encode()
        return hashlib.scrypt(
            text, salt=bytes.fromhex(salt), n=n, r=block, p=parallel, maxmem=2 * memory, dklen=_BYTES
        )
    except (ValueError, OverflowError) as error:
        raise GalleryKeyError(
            "The gallery's note of how its passphrase becomes a key can't be read.",
            hint="The gallery is damaged: restore a backup.",
        ) from error


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise GalleryKeyError(
            f"{where} holds no gallery key.", hint=f"A key is {_BYTES} random bytes written as base64."
        )
    return key


def _refuse_beside(path: Path, store_folder: Path | None) -> None:
    if store_folder is not None and path.resolve().parent == store_folder.resolve():
        raise GalleryKeyError(
            f"The key file {path} is in the gallery's folder: who copies that has both.",
            hint="Keep the key elsewhere, best on another disk; --key-file says where.",
        )


def _make(path: Path) -> None:
    text = base64.b64encode(secrets.token_bytes(_BYTES)) + b"\n"
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".edgeproof-", dir=path.parent)  # mode 0600
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails where another process was first: then its key is ours too
        except FileExistsError:
            return
        except OSError:  # no hard links on this disk
            temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
