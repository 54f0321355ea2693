"""What every engine asks of a model file before a library sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeproof.core.errors import ModelError, NotFoundError
from edgeproof.core.files import storage_error

_MAX_BYTES = 2 << 30  # protobuf's own limit for one message, and flatbuffers' for one buffer


def model_file(path: str, suffixes: Sequence[str] = (), *, whose: str = "") -> Path:
    """The path of a file that is there, has bytes, and whose name ends in one of `suffixes` (none: any).

    Raises:
        NotFoundError: no file there.
        ModelError: 0 bytes, over 2 GB, or of a format that the runtime `whose` doesn't take.
        StorageError: it can't be looked at.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise NotFoundError(f"There is no model file {path}.", hint="Check the spelling of the path.")
        size = file.stat().st_size
    except OSError as error:
        raise storage_error(path, error) from error
    if not 0 < size <= _MAX_BYTES:
        raise ModelError(
            f"{path} has {size} bytes.",
            hint="A model file has at least one byte and at most 2 GB: fetch it again.",
        )
    if suffixes and file.suffix.lower() not in suffixes:
        raise ModelError(
            f"{path} is not of a format that {whose} takes, going by its name.",
            hint=f"It takes: {', '.join(suffixes)}.",
        )
    return file


def short_reason(error: Exception) -> str:
    """The last line of a library's message that says something, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return reason if len(reason) <= 300 else reason[:297] + "..."
