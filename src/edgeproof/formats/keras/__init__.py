"""Reading Keras: .keras archives and .h5 files, of Keras 2 and 3, without Keras or TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.formats import Imported
from edgeproof.formats.graph import new_name, onnx_for
from edgeproof.formats.keras.graph import Builder, Shape, Value, shown
from edgeproof.formats.keras.layers import LAYERS
from edgeproof.formats.keras.network import Layer, Model, read_architecture
from edgeproof.formats.keras.run import check_known, run_model
from edgeproof.formats.keras.settings import AGAIN
from edgeproof.formats.keras.source import open_source
from edgeproof.formats.keras.weights import fill_weights
from edgeproof.formats.onnx import check_translated
from edgeproof.formats.padding import keep_padding

_FLOATS = ("float32", "float16", "bfloat16", "float64")
_OTHERS = ("uint8", "int8", "int32", "int64")


def read(path: Path) -> Imported:
    """Read a Keras network into ONNX, its inputs and outputs as they are in the file (pictures mostly as NHWC).

    A file of weights alone has its architecture, `model.to_json()`, beside it under the same stem. Nothing in the
    file is run: Lambda layers, which hold bytecode, are refused, but for known functions that are written anew.

    Raises:
        NotFoundError, StorageError: a file isn't there, or can't be read.
        ModelError: damaged, a layer that isn't read, weights that don't fit; naming the layer.
        MissingExtraError: onnx is not installed.
    """
    onnx_for("Reading a Keras network")
    path = Path(path)
    source = open_source(path)
    model = read_architecture(source.architecture, str(path))
    check_known(model, LAYERS)
    fill_weights(model, source.weights, str(path))
    return translate(model, str(path), source.keras, source.size)


def translate(model: Model, file: str, keras: int, size: int) -> Imported:
    """A model with its weights, as ONNX.

    Arguments:
        model: all of its layers known and filled.
        file: what errors call it.
        keras: the major version that saved it.
        size: the bytes it came from, which bound those that are made of it.

    Raises:
        ModelError: a layer that doesn't fit what it takes, or its weights.
    """
    builder = Builder(file, keras, size)
    inputs, values = _inputs(builder, model)
    outputs = run_model(builder, model, values, LAYERS)
    made = builder.finish(inputs, list(zip(_output_names(model), outputs, strict=True)))
    check_translated(made, file)
    keep_padding(made)
    return Imported(made, tuple(builder.notes))


def _inputs(builder: Builder, model: Model) -> tuple[list[Any], list[Value]]:
    from onnx import TensorProto, helper

    infos, values = [], []
    for layer in _input_layers(builder, model):
        builder.layer = layer
        shape, dtype = _input_shape(layer), layer.settings.text("dtype", "float32")
        if dtype not in _FLOATS + _OTHERS:
            raise builder.error(f"takes {dtype}", f"Known: {', '.join(_FLOATS + _OTHERS)}.")
        name = new_name(builder.taken, layer.name)
        kind = TensorProto.FLOAT if dtype in _FLOATS else getattr(TensorProto, dtype.upper())
        sizes = [
            size if size is not None else "N" if axis == 0 else f"{name}_{axis}"
            for axis, size in enumerate(shape)
        ]
        infos.append(helper.make_tensor_value_info(name, kind, sizes))
        taken = name if dtype in _FLOATS else builder.one("Cast", name, to=TensorProto.FLOAT)
        values.append(builder.put(taken, shape))
        if len(shape) == 4 and shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
            builder.notes.append(f"Input {name} takes pictures as the file does: NHWC, {shown(shape)}.")
    builder.layer = None
    return infos, values


def _input_layers(builder: Builder, model: Model) -> list[Layer]:
    if model.sequential:
        first = model.layers[0]
        if first.inner is not None:
            return _input_layers(builder, first.inner)
        return [first]
    layers = {layer.name: layer for layer in model.layers}
    found = [layers.get(ref.layer) for ref in model.inputs]
    known = [layer for layer in found if layer is not None and layer.kind == "InputLayer"]
    if len(known) != len(found):
        raise ModelError(f"{builder.file}: an input of {model.name[:60]!r} is no InputLayer.", hint=AGAIN)
    return known


def _input_shape(layer: Layer) -> Shape:
    table = layer.settings.table
    shape = table.get("batch_shape") or table.get("batch_input_shape")
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= 8
        or not all(size is None or (type(size) is int and 1 <= size <= 1 << 24) for size in shape)
    ):
        raise layer.settings.error(
            f"has the input shape {str(shape)[:60]}", "Build the network with an Input, and save it again."
        )
    return tuple(shape)


def _output_names(model: Model) -> list[str]:
    if model.sequential:
        last = model.layers[-1]
        return _output_names(last.inner) if last.inner is not None else [last.name]
    return [ref.layer for ref in model.outputs]
