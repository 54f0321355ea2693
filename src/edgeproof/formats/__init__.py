"""One file for each format that networks arrive in or leave in.

A row of `IMPORTERS` names a function `read(path) -> Imported`: the network as ONNX. Formats that say what they are
by their suffix are found by it; to add one: one file, one row here, one test.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgeproof.core.errors import ModelError, NotFoundError
from edgeproof.core.registry import Registry

if TYPE_CHECKING:
    import onnx

IMPORTERS = Registry(
    "importer",
    {
        "caffe": "edgeproof.formats.caffe:read",
        "onnx": "edgeproof.formats.onnx:read",
        "tflite": "edgeproof.formats.tflite:read",
    },
)
_SUFFIXES = {
    ".onnx": "onnx",
    ".caffemodel": "caffe",
    ".prototxt": "caffe",
    ".tflite": "tflite",
    ".h5": "keras",
    ".keras": "keras",
    ".pt2": "torch",
    ".pt": "torch",
    ".pth": "torch",
}


@dataclass(frozen=True)
class Imported:
    """A network that was read into ONNX.

    Attributes:
        model: the network; passes onnx.checker, shapes inferred where they can be.
        notes: what was changed or assumed on the way, in words a user follows.
    """

    model: onnx.ModelProto
    notes: tuple[str, ...] = ()


def format_of(path: str | os.PathLike[str]) -> str:
    """The name of the importer for a file, by its suffix.

    Raises:
        NotFoundError: there is no such file.
        ModelError: no importer knows the suffix.
    """
    file = Path(path)
    if not file.exists():
        raise NotFoundError(f"There is no model file {file}.", hint="Check the spelling of the path.")
    name = _SUFFIXES.get(file.suffix.lower())
    if name is None or name not in IMPORTERS:
        known = ", ".join(sorted(suffix for suffix, kind in _SUFFIXES.items() if kind in IMPORTERS))
        raise ModelError(f"{file} is of no format that can be read.", hint=f"Known suffixes: {known}.")
    return name


def read_network(path: str | os.PathLike[str]) -> Imported:
    """Read a network of any format into ONNX.

    Raises:
        NotFoundError, ModelError, MissingExtraError: it isn't there, can't be read, or needs a library.
    """
    return cast(Imported, IMPORTERS.load(format_of(path))(Path(path)))
