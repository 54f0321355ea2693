"""What an exporter wrote beside the network into an ONNX file, read without the onnx library (onnx.proto)."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats.wire import BYTES, DamagedError, fields

_METADATA, _KEY, _VALUE = 14, 1, 2
# Names of some thousand classes fit; what is larger is no label.
_LONGEST = 1 << 20


def read_metadata(file: Path) -> dict[str, str]:
    """The `metadata_props` of an ONNX file, which is mapped and not loaded.

    Raises:
        ModelError: it is no ONNX model.
        NotFoundError, StorageError: it can't be read.
    """
    try:
        with file.open("rb") as opened:
            # Not closed here but when its last view goes: an exception on its way up holds some.
            return metadata(memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)))
    except (DamagedError, ValueError) as error:  # ValueError: an empty file can't be mapped
        raise ModelError(
            f"{file} is no ONNX model, or is cut short.", hint="Fetch or export it again."
        ) from error
    except OSError as error:
        raise storage_error(file, error) from error


def metadata(data: memoryview) -> dict[str, str]:
    """The same of the bytes of a whole file.

    Raises:
        DamagedError: they are no protobuf message.
    """
    found = {}
    for entry in fields(data):
        if entry.number == _METADATA and entry.kind == BYTES and len(entry.data) <= _LONGEST:
            texts = {part.number: bytes(part.data) for part in fields(entry.data) if part.kind == BYTES}
            key, value = (texts.get(number, b"").decode(errors="replace") for number in (_KEY, _VALUE))
            found[key] = value
    return found
