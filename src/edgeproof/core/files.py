"""Writing that never leaves half a file: write beside, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeproof.core.errors import DiskFullError, EdgeproofError, NotFoundError, StorageError

_READ = 1 << 20


def storage_error(path: str | os.PathLike[str], error: OSError) -> EdgeproofError:
    """The typed error for an OSError met while reading or writing `path`."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return DiskFullError(
                f"Can't write {path}: the disk is full.",
                hint="Free some space, or choose another place with --out. Nothing half-written was left.",
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return StorageError(
                f"Can't use {path}: permission denied.",
                hint="Check who owns it (ls -l), or choose another place.",
            )
        case errno.ENOENT:
            return NotFoundError(f"{path} isn't there.", hint="Check the spelling of the path.")
        case _:
            return StorageError(
                f"Can't use {path}: {error.strerror or error}.", hint="Check the path and the disk."
            )


def _fsync_directory(directory: Path) -> None:
    # Without this the rename itself can be lost at a power cut, although the data were written.
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any encoding of Unicode takes: bytes of its name that are no UTF-8 become `\\xNN`."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def write_atomically(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = True) -> None:
    """Write `data` to `path` whole or not at all.

    Raises:
        StorageError: disk full, no permission, or `path` exists and `overwrite` is false.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".edgeproof-", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes 0600; a file that people share follows their umask like any other.
        Path(temporary).chmod(0o666 & ~_umask())
        if overwrite:
            Path(temporary).replace(target)
        else:
            _rename_new(Path(temporary), target)
        temporary = None
        _fsync_directory(target.parent)
    except FileExistsError as error:
        raise StorageError(
            f"{target} is there already.", hint="Choose another place, or move it away first."
        ) from error
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that a file or folder can be made at `path`, before work is done that would be lost.

    Raises:
        StorageError: the nearest folder that exists is not ours to write to, or is no folder.
    """
    folder = Path(path).absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise StorageError(f"{folder} is not a folder.", hint="Choose another place.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise storage_error(folder, PermissionError(errno.EACCES, "permission denied"))


def _rename_new(source: Path, target: Path) -> None:
    try:
        os.link(source, target)  # fails if the target is there, unlike rename
        source.unlink()
    except FileExistsError:
        raise
    except OSError:  # no hard links on FAT cards and some network disks
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
        source.replace(target)


def _umask() -> int:
    for line in (
        Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else ()
    ):
        if line.startswith("Umask:"):  # read without setting it, which would race with other threads
            return int(line.split()[1], 8)
    return 0o022


@contextlib.contextmanager
def directory_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Build a folder beside `path` and put it in place when the block ends without an error.

    What stood at `path` before is replaced only at that moment.

    Raises:
        StorageError: disk full, or no permission.
    """
    target = Path(path)
    building: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".edgeproof-", dir=target.parent))
        yield building
        for file in building.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
        building.chmod(0o777 & ~_umask())
        if target.exists():
            _swap(building, target)
        else:
            building.replace(target)
        building = None
        _fsync_directory(target.parent)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)


def _swap(building: Path, target: Path) -> None:
    # No rename replaces a folder that has files: the old one steps aside, and back if the new can't come.
    aside = Path(tempfile.mkdtemp(prefix=".edgeproof-old-", dir=target.parent))
    old = aside / target.name
    try:
        target.replace(old)
        building.replace(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, as hexadecimal digits; reads it in pieces."""
    import hashlib  # brings OpenSSL with it: 4 MB that a process without bundles can do without

    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(_READ):
            digest.update(piece)
    return digest.hexdigest()
