"""One file for each format that networks arrive in or leave in.

A row of `IMPORTERS` names a function `read(path) -> Imported`: the network as ONNX. Formats that say what they are
by their suffix are found by it; to add one: one file, one row here, one test.

A row of `EXPORTERS` names a function `write(model, path) -> notes` that writes such a network as another runtime's file
at `path` (and beside it, with the same stem, where that runtime wants several), or raises a ModelError that names every
node that it can't take.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgeproof.core.errors import ModelError, NotFoundError, UsageError
from edgeproof.core.registry import Registry

if TYPE_CHECKING:
    import onnx

IMPORTERS = Registry(
    "importer",
    {
        "caffe": "edgeproof.formats.caffe:read",
        "keras": "edgeproof.formats.keras:read",
        "onnx": "edgeproof.formats.onnx:read",
        "savedmodel": "edgeproof.formats.savedmodel:read",
        "tflite": "edgeproof.formats.tflite:read",
        "torch": "edgeproof.formats.pytorch:read",
    },
)
EXPORTERS = Registry(
    "exporter",
    {
        "litert": "edgeproof.formats.to_litert:write",
        "ncnn": "edgeproof.formats.to_ncnn:write",
        "openvino": "edgeproof.formats.to_openvino:write",
    },
)
EXPORT_SUFFIXES = {"litert": ".tflite", "ncnn": ".param", "openvino": ".xml"}
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
    ".torchscript": "torch",
}
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Imported:
    """A network that was read into ONNX.

    Attributes:
        model: the network; passes onnx.checker, shapes inferred where they can be.
        notes: what was changed or assumed on the way, in words a user follows.
        save_original: writes the original to a .pt2 file, where its source is none that an engine opens.
    """

    model: onnx.ModelProto
    notes: tuple[str, ...] = ()
    save_original: Callable[[Path], None] | None = None


def is_factory(source: str | os.PathLike[str]) -> bool:
    """Whether a source is `package.module:factory`, a name in somebody's Python code, and no file."""
    return bool(_FACTORY.fullmatch(os.fspath(source))) and not Path(source).exists()


def format_of(path: str | os.PathLike[str]) -> str:
    """The name of the importer for a source: for a file by its suffix.

    Raises:
        NotFoundError: there is no such file.
        ModelError: no importer knows the suffix.
    """
    file = Path(path)
    if is_factory(path):
        return "torch"
    if not file.exists():
        raise NotFoundError(f"There is no model file {file}.", hint="Check the spelling of the path.")
    name = "savedmodel" if (file / "saved_model.pb").is_file() else _SUFFIXES.get(file.suffix.lower())
    if name is None or name not in IMPORTERS:
        known = ", ".join(sorted(suffix for suffix, kind in _SUFFIXES.items() if kind in IMPORTERS))
        raise ModelError(f"{file} is of no format that can be read.", hint=f"Known suffixes: {known}.")
    return name


def read_network(
    path: str | os.PathLike[str],
    *,
    input_shape: Mapping[str, tuple[int | str, ...]] | None = None,
    random_weights: int | None = None,
) -> Imported:
    """Read a network of any format into ONNX.

    Arguments:
        path: a file, or `package.module:factory`: a PyTorch network that the user's own code makes; that code is run.
        input_shape: for PyTorch sources that don't tell them: the shape of each input by name, the batch first, "N" for
            a batch of any size; "input" stands for the only one.
        random_weights: for a Caffe topology whose .caffemodel isn't there: the seed of weights by chance, to try its
            import, speed and memory.

    Raises:
        NotFoundError, ModelError, MissingExtraError: it isn't there, can't be read, or needs a library.
        UsageError: a shape is missing, or given for a format that tells its own; or random weights for another format.
    """
    kind = format_of(path)
    if input_shape and kind != "torch":
        raise UsageError(f"{path} has its own input shapes.", hint="Leave --input-shape out.")
    if random_weights is not None and kind != "caffe":
        raise UsageError(f"{path} has its own weights.", hint="Leave --random-weights out.")
    asked = {"input_shape": input_shape or None, "seed": random_weights}
    given = {name: value for name, value in asked.items() if value is not None}
    return cast(Imported, IMPORTERS.load(kind)(Path(path), **given))
