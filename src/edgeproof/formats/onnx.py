"""Reading and writing ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error, write_atomically
from edgeproof.formats import Imported
from edgeproof.formats.graph import all_tensors, first_line, onnx_for, value_of

if TYPE_CHECKING:
    import onnx

# A protobuf message can't be larger (protobuf.dev/programming-guides/proto-limits).
_LARGEST = 2**31 - 1
_AGAIN = "Export the network again, or copy the file again and compare its size."


def load_model(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Read and check an ONNX file of one piece.

    Raises:
        NotFoundError: no file there.
        StorageError: it can't be read.
        ModelError: it is empty, cut short, no ONNX file, over 2 GB, refers to data outside it, breaks the
            ONNX rules, or holds weights that are not numbers.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Reading a network to optimise it")

    file = Path(path)
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise ModelError(
                f"{file} is {size / 2**30:.1f} GB: ONNX files end at 2 GB.",
                hint="Use a smaller network, or one whose weights are stored as float16.",
            )
        data = file.read_bytes()
    except OSError as error:
        raise storage_error(file, error) from error
    if not data:
        raise ModelError(f"{file} is empty (0 bytes).", hint=_AGAIN)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, and whatever else its parsers raise
        raise ModelError(
            f"{file} is not an ONNX file, or it is cut short or damaged.", hint=_AGAIN
        ) from error
    if not model.HasField("graph"):
        raise ModelError(f"{file} is not an ONNX file: there is no graph in it.", hint=_AGAIN)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in all_tensors(model.graph)):
        raise ModelError(
            f"{file} keeps its weights in another file: external data is not supported yet.",
            hint="Save it in one file: onnx.save(onnx.load(PATH), NEW_PATH, save_as_external_data=False).",
        )
    check_model(model, str(file))
    return model


def check_model(model: onnx.ModelProto, name: str) -> None:
    """Check a network against the ONNX rules, and its weights for NaN; `name` is what errors call it.

    Raises:
        ModelError: saying which rule, or which weight.
    """
    onnx = onnx_for("Checking a network")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{name} breaks the rules of ONNX: {first_line(error)}.",
            hint="Export it again, or upgrade onnx if the file was made by a newer one.",
        ) from error
    for tensor in all_tensors(model.graph):
        if tensor.data_type not in (
            onnx.TensorProto.FLOAT,
            onnx.TensorProto.FLOAT16,
            onnx.TensorProto.DOUBLE,
        ):
            continue
        try:
            broken = np.isnan(value_of(tensor)).any()
        except (ValueError, TypeError) as error:
            raise ModelError(f"{name}: the weight {tensor.name!r} is damaged.", hint=_AGAIN) from error
        if broken:
            raise ModelError(
                f"{name}: the weight {tensor.name!r} holds NaN.",
                hint="Its training diverged: use an earlier checkpoint.",
            )


def save_model(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a network to `path`, whole or not at all.

    Raises:
        ModelError: over 2 GB.
        StorageError: disk full, or no permission.
    """
    if model.ByteSize() > _LARGEST:
        raise ModelError(
            f"{path} would be over 2 GB, where ONNX files end.", hint="Store its weights as float16 first."
        )
    write_atomically(path, model.SerializeToString())


def read(path: Path) -> Imported:
    """The importer's door: see `edgeproof.formats.read_network`."""
    return Imported(load_model(path))
