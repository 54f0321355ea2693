"""Reading a picture file whole, within a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgeproof.core.errors import ImageTooLargeError, NotAnImageError, NotFoundError
from edgeproof.core.files import storage_error

# Ten times the largest camera JPEG; a device with 1 GB of memory must never try to hold a disk image.
MAX_BYTES = 512 * 1024 * 1024


def read_file(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a picture file.

    Raises:
        NotFoundError: nothing is there.
        NotAnImageError: it is a folder, a device or a pipe.
        ImageTooLargeError: it has more than `max_bytes`.
        StorageError: it can't be read.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device could wait, or go on, for ever
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise NotAnImageError(f"It is {kind}, not a picture.", hint="Give the path of a picture file.")
        with Path(path).open("rb") as file:
            data = file.read(max_bytes + 1) if status.st_size > max_bytes else file.read(status.st_size)
    except OSError as error:
        raise storage_error(path, error) from error
    except ValueError as error:  # a path with a NUL in it
        raise NotFoundError(f"{str(path)!r} isn't a path.", hint="Check the spelling of the path.") from error
    if len(data) > max_bytes:
        raise ImageTooLargeError(
            f"The file has {status.st_size:,} bytes; the limit is {max_bytes:,}.",
            hint="Make the picture smaller first.",
        )
    return data
