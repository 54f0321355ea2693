"""PyTorch's zip archives (.pt2, TorchScript, state dicts), checked before PyTorch's C++ reader sees them."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error

AGAIN = "Save the network again, or copy the file again and compare its size."
_LARGEST = 2 << 30
_MEMBERS = 100_000
# Beside a little text, an archive holds weights, which PyTorch stores as they are and which hardly compress.
_EXPANSION, _ALWAYS = 4, 1 << 20


def read_members(path: Path) -> dict[str, bytes] | None:
    """The members of an archive by name, without the folder that holds them all; None where it is no zip.

    Each one's CRC has been checked, so a damaged file ends here.

    Raises:
        NotFoundError, StorageError: it isn't there, or can't be read.
        ModelError: empty, over 2 GB, damaged, or unpacks to more than four times its size.
    """
    try:
        size = path.stat().st_size
        if not 0 < size <= _LARGEST:
            raise ModelError(f"{path} has {size} bytes; networks are read up to 2 GB.", hint=AGAIN)
        with path.open("rb") as file:
            if file.read(4) != b"PK\3\4":
                return None
            with zipfile.ZipFile(file) as archive:
                _check_declared(path, archive.infolist(), size)
                # A member that declares less than it holds ends at what it declared, with a wrong CRC.
                members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except OSError as error:
        raise storage_error(path, error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, LookupError) as error:
        # RuntimeError: an encrypted member; its subclass NotImplementedError: a compression of another kind.
        raise ModelError(f"{path} is damaged or cut short: {error}.", hint=AGAIN) from error
    return {name.partition("/")[2] or name: data for name, data in members.items()}


def _check_declared(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.filename for entry in entries]
    total = sum(entry.file_size for entry in entries)
    if total > max(_EXPANSION * size, _ALWAYS) or len(entries) > _MEMBERS:
        raise ModelError(
            f"{path} has {size:,} bytes and would unpack to {total:,} in {len(entries)} members; no network does.",
            hint="Don't use it: it was made to fill the memory of whoever opens it.",
        )
    # PyTorch's reader doesn't tell capitals from small letters, so two members could stand for one.
    if (
        len({name.lower() for name in names}) != len(names)
        or len({name.partition("/")[0] for name in names}) != 1
    ):
        raise ModelError(
            f"{path} is no archive as PyTorch writes them: its members' names clash.", hint=AGAIN
        )


def pack_members(members: dict[str, bytes]) -> io.BytesIO:
    """An archive in memory that holds exactly these members, for PyTorch's reader.

    Zip readers disagree on files made to confuse them; this way PyTorch gets the bytes that were checked.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)
    buffer.seek(0)
    return buffer
