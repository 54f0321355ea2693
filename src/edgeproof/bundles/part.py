"""A file while it comes: hashed on the way, bounded, and left in a state to go on from."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgeproof.core.errors import DiskFullError, DownloadError, EdgeproofError, WrongDigestError
from edgeproof.core.files import storage_error

if TYPE_CHECKING:
    from hashlib import _Hash

# Called with what is here and what it will be in the end, in bytes; None where the server doesn't say.
Progress = Callable[[int, "int | None"], None]

MAX_BYTES = 2 << 30  # of a file whose size the catalogue doesn't know
PIECE = 1 << 16


class Part:
    """The file that a download grows in, and the digest of what it holds.

    Arguments:
        path: where it is, or will be.
        keep: go on from what is there.

    Attributes:
        size: how many bytes it has.
        tag: what the server calls the version that they are of; may be empty.

    Raises:
        StorageError: it can't be opened.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path, self.size, self.tag = path, 0, ""
        self._digest: _Hash
        try:
            self._file: IO[bytes] = path.open("a+b")
            if keep:
                self._read()
            else:
                self.restart()
        except OSError as error:
            raise storage_error(path, error) from error

    def _read(self) -> None:
        import hashlib

        self._digest = hashlib.sha256()
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            self._digest.update(piece)
            self.size += len(piece)

    def restart(self) -> None:
        """Drop what is there."""
        import hashlib

        self._file.truncate(0)
        self._digest, self.size, self.tag = hashlib.sha256(), 0, ""

    def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            StorageError: it can't be written; DiskFullError takes the whole file away.
        """
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self._digest.update(piece)
        self.size += len(piece)

    def finish(self) -> str:
        """Have it all on the disk; gives the digest."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error
        return self._digest.hexdigest()

    def _unwritable(self, error: OSError) -> EdgeproofError:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return storage_error(self.path, error)
        self.discard()  # the space is wanted more than the part
        return disk_full(self.path)

    def leave(self, error: BaseException) -> None:
        """End with an error: what is of use to go on from stays."""
        if isinstance(error, WrongDigestError) or not self.size:
            self.discard()

    def discard(self) -> None:
        """Take the file away."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; more than once is no error."""
        # What it could not write at a full disk, it can't write now either.
        with contextlib.suppress(OSError):
            self._file.close()


def disk_full(path: Path) -> DiskFullError:
    """The error for a store that has no room for a file."""
    return DiskFullError(
        f"Can't write {path}: the disk is full.",
        hint="Free some space, or set EDGEPROOF_HOME to a folder on a larger disk. What did not fit was taken away.",
    )


def copy(source: Path, part: Path, *, size: int | None, progress: Progress) -> str:
    """Copy the file `source` into `part`; as `fetch`.

    Raises:
        DownloadError: it isn't there.
        WrongDigestError, StorageError: as `fetch`.
    """
    try:
        file = source.open("rb")
    except FileNotFoundError as error:
        raise DownloadError(
            f"The mirror has no {source}.",
            hint="Put the file there under that name, or leave the mirror out.",
        ) from error
    except OSError as error:
        raise storage_error(source, error) from error
    part_file = Part(part, keep=False)
    try:
        with file:
            total = os.fstat(file.fileno()).st_size
            check_size(str(source), total, size)
            while piece := _read(file, source):
                append(part_file, piece, str(source), size)
                progress(part_file.size, total)
        check_size(str(source), part_file.size, size)
        return part_file.finish()
    except BaseException as error:
        part_file.leave(error)
        raise
    finally:
        part_file.close()


def _read(file: IO[bytes], source: Path) -> bytes:
    try:
        return file.read(PIECE)
    except OSError as error:
        raise storage_error(source, error) from error


def append(part: Part, piece: bytes, origin: str, size: int | None) -> None:
    """Add a piece, unless the file grows over the `size` that it must have.

    Raises:
        WrongDigestError: it does.
        StorageError: it can't be written.
    """
    if part.size + len(piece) > (MAX_BYTES if size is None else size):
        check_size(origin, part.size + len(piece), size)
    part.write(piece)


def check_size(origin: str, actual: int, size: int | None) -> None:
    """Compare the size of what is at `origin` with the one that it must have; None: at most `MAX_BYTES`.

    Raises:
        WrongDigestError: it is another.
    """
    if size is None and actual > MAX_BYTES:
        raise WrongDigestError(
            f"{origin} has more than {MAX_BYTES:,} bytes.", hint="No model is that large: it was not kept."
        )
    if size is not None and actual != size:
        raise WrongDigestError(
            f"{origin} has {actual:,} bytes or more; the catalogue says {size:,}."
            if actual > size
            else f"{origin} has {actual:,} bytes; the catalogue says {size:,}.",
            hint="It is another file, and was not kept. Try another mirror.",
        )
