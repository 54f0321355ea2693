"""Reading and writing ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.files import storage_error, write_atomically
from edgeproof.formats import Imported, format_of, read_network
from edgeproof.formats.external import load_external, stored_outside
from edgeproof.formats.graph import all_tensors, first_line, onnx_for, value_of
from edgeproof.formats.opset import lift
from edgeproof.formats.padding import keep_padding

if TYPE_CHECKING:
    import onnx

# A protobuf message can't be larger (protobuf.dev/programming-guides/proto-limits).
_LARGEST = 2**31 - 1
_OPSET = 13
_PADDED = (
    "The zeros that a Pad makes before a MaxPool became -0.0, the same number, in {} places: ONNX Runtime would "
    "take 0.0 for the pooling's own padding, which never wins."
)
_AGAIN = "Export the network again, or copy the file again and compare its size."


def load_model(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """Read and check an ONNX file, with the weights that it keeps in other files of its own folder.

    Raises:
        NotFoundError: no file there.
        StorageError: it can't be read.
        ModelError: it is empty, cut short, no ONNX file, over 2 GB, keeps weights where they may not
            be (see `load_external`), breaks the ONNX rules, or holds weights that are not numbers.
        MissingExtraError: onnx is not installed.
    """
    file = Path(path)
    model, size = _parse(file)
    if outside := stored_outside(model):
        load_external(outside, file.parent, name=str(file), most_bytes=_LARGEST - size)
    check_model(model, str(file))
    return model


def _parse(file: Path) -> tuple[onnx.ModelProto, int]:
    """What is in the file itself, unchecked, and its size in bytes."""
    onnx = onnx_for("Reading a network to optimise it")

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
    return model, size


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


def check_translated(model: onnx.ModelProto, name: str) -> None:
    """Check a network that was translated from another format, its shapes too, which are then written into it.

    Raises:
        ModelError: as `check_model`; or the shapes inside it don't fit together.
    """
    onnx = onnx_for("Checking a network")
    check_model(model, name)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # onnx's InferenceError, and what its C++ raises otherwise
        raise ModelError(
            f"{name}: the shapes of its tensors don't fit together: {first_line(error)}.",
            hint="Convert the network again, or copy the file again and compare its size.",
        ) from error
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)


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


def one_onnx_file(path: Path, work: Path) -> Path:
    """`path` itself if it is an .onnx file that stands alone, else the network in it as one in the folder `work`.

    A file whose padding ONNX Runtime would misread (see `keep_padding`) gets a copy there too.

    Raises:
        NotFoundError, ModelError, MissingExtraError: as `read_network`. StorageError: `work` can't be written to.
    """
    made = work / f"{path.stem.rpartition(':')[2]}.onnx"
    if format_of(path) != "onnx" or stored_outside(model := _parse(path)[0]):
        model = read_network(path).model
    elif not {"Pad", "MaxPool"} <= {node.op_type for node in model.graph.node}:
        return path
    else:
        model, _ = _inferred(model)
        if not keep_padding(model):
            return path
    save_model(model, made)
    return made


def read(path: Path) -> Imported:
    """The importer's door, see `edgeproof.formats.read_network`: lifted to opset 13, shapes inferred, one piece.

    Opset 13 is the first in which weights can be quantised channel by channel (QuantizeLinear-13).
    """
    model = load_model(path)
    notes: tuple[str, ...] = ()
    try:
        model, notes = lift(model, _OPSET)
    except ModelError as error:  # it may still run as it is: the check after the import shows
        notes = (f"{error.message} It stays as it is.",)
    model, more = _inferred(model)
    notes = (*notes, *more)
    if kept := keep_padding(model):
        notes = (*notes, _PADDED.format(kept))
    check_model(model, str(path))
    return Imported(model, notes)


def _inferred(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The network with the shapes inside it, or as it is with a note why not."""
    onnx = onnx_for("Importing a network")
    try:
        return onnx.shape_inference.infer_shapes(model), ()
    except Exception as error:  # onnx's own InferenceError, or RuntimeError from its C++
        return model, (f"The shapes inside it can't be inferred: {first_line(error)}.",)
