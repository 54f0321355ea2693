"""What a Keras file is made of: an architecture (JSON) and weights (HDF5), in one file or in two."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats.keras.archive import read_archive
from edgeproof.formats.keras.hdf5 import AGAIN, HDF5

_LARGEST = 2**31 - 1  # what an ONNX file of one piece can hold
_MOST_JSON = 16 << 20  # the largest published networks have some MB


@dataclass(frozen=True)
class Source:
    """An architecture, where its weights are, the major version of Keras, and the size of it all in bytes."""

    architecture: Any
    weights: HDF5
    keras: int
    size: int


def open_source(path: Path) -> Source:
    """Open a .keras archive, a whole .h5, or the weights of one with its architecture beside it.

    Raises:
        NotFoundError, StorageError: it isn't there, or can't be read.
        ModelError: empty, damaged, of another format, or without an architecture.
    """
    data = _read(path, _LARGEST)
    if not data:
        raise ModelError(f"{path} is empty (0 bytes).", hint=AGAIN)
    name = str(path)
    if data[:4] == b"PK\x03\x04":
        files = read_archive(data, name)
        architecture = _json(files["config.json"], f"{name}: config.json")
        metadata = _json(files.get("metadata.json", b"{}"), f"{name}: metadata.json")
        weights = HDF5(files["model.weights.h5"], f"{name}: model.weights.h5")
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    elif path.suffix.lower() == ".keras" and data[:8] != b"\x89HDF\r\n\x1a\n":
        raise ModelError(f"{name} is no .keras archive: it doesn't begin as one.", hint=AGAIN)
    else:
        weights = HDF5(data, name)
        attributes = weights.attributes(weights.root)
        version = attributes.get("keras_version")
        text = attributes.get("model_config")
        if isinstance(text, str):
            architecture = _json(text.encode(), f"{name}: model_config")
        else:
            beside = _beside(path)
            architecture = _json(_read(beside, _MOST_JSON), str(beside))
            version = (
                architecture.get("keras_version") if isinstance(architecture, dict) else None
            ) or version
    return Source(architecture, weights, _major(version, architecture), len(data))


def _read(path: Path, most: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most:
            raise ModelError(
                f"{path} is {size / 2**20:,.0f} MB, more than the {most >> 20:,} MB that are read.",
                hint="Use a smaller network.",
            )
        return path.read_bytes()
    except OSError as error:
        raise storage_error(path, error) from error


def _beside(path: Path) -> Path:
    names = [path.with_suffix(".json"), path.with_name(path.name.removesuffix(".weights.h5") + ".json")]
    for file in names:
        if file.exists():
            return file
    raise ModelError(
        f"{path} holds weights only, and there is no {names[0].name} beside it.",
        hint="Write the architecture there, open(FILE, 'w').write(model.to_json()), or save the whole network: "
        "model.save('NAME.keras').",
    )


def _json(data: bytes, name: str) -> Any:
    if len(data) > _MOST_JSON:
        raise ModelError(
            f"{name} has {len(data):,} bytes.", hint=f"Architectures are read up to {_MOST_JSON:,}."
        )
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ModelError(f"{name} is no JSON, or damaged: {why}.", hint=AGAIN) from error


def _major(version: Any, architecture: Any) -> int:
    """The major version of Keras; where it isn't written, by what only Keras 3 writes."""
    if isinstance(version, str) and version[:1].isdigit():
        return int(version[0])
    return 3 if isinstance(architecture, dict) and "module" in architecture else 2
