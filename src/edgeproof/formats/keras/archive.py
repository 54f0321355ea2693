"""The files in a .keras archive: a zip of config.json, metadata.json and model.weights.h5."""

from __future__ import annotations

import io
import zipfile
import zlib

from edgeproof.core.errors import ModelError
from edgeproof.formats.keras.settings import AGAIN

_FILES = ("config.json", "metadata.json", "model.weights.h5")
# Weights hardly get smaller: more than this is a bomb, or an archive that somebody packed on purpose.
_GROWTH, _ROOM, _MOST_MEMBERS = 2, 1 << 20, 1 << 12


def read_archive(data: bytes, name: str) -> dict[str, bytes]:
    """The files of an archive by their names; others in it (assets, build settings) are left alone.

    Raises:
        ModelError: no archive, damaged, a file missing, encrypted, or far larger than the archive itself.
    """
    room = _GROWTH * len(data) + _ROOM
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {entry.filename: entry for entry in archive.infolist()[:_MOST_MEMBERS]}
            for wanted in _FILES:
                entry = members.get(wanted)
                if entry is None:
                    continue
                room -= entry.file_size
                if room < 0:
                    raise ModelError(
                        f"{name}: {wanted} unpacks to {entry.file_size:,} bytes, far more than the {len(data):,} of "
                        "the whole file.",
                        hint="Save the network again in Keras.",
                    )
                with archive.open(entry) as file:
                    # What the entry says of its size is not believed: no more than that is unpacked.
                    found[wanted] = file.read(entry.file_size)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        raise ModelError(f"{name} is no .keras archive, or it is damaged: {error}.", hint=AGAIN) from error
    for wanted in ("config.json", "model.weights.h5"):
        if wanted not in found:
            raise ModelError(f"{name} is no .keras archive: it doesn't hold {wanted}.", hint=AGAIN)
    return found
