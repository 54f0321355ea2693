"""An ONNX network made ready for pnnx: one row, names that no text format trips over, steps said in its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import (
    attribute,
    constants,
    copy_of,
    first_line,
    is_op,
    onnx_for,
    opset_of,
    set_attribute,
)
from edgeproof.formats.opset import lift
from edgeproof.formats.to_ncnn.refuse import kind_of, name_of, refusals, refused
from edgeproof.formats.to_ncnn.strides import split_strides

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
_OLDEST, _NEWEST = 13, 17
_LONGEST_NAME = 200  # ncnn reads names with %255s
_FIX = "Export it with fixed sizes, or fix them: ncnn's layers hold the sizes that they were made for."


@dataclass(frozen=True)
class Prepared:
    """A network that pnnx can be given, and what its parts are called in the end.

    Attributes:
        model: its inputs are called in0, in1, ..., its outputs out0, out1, ...
        inputs: the shape of each input by the name that the .param gets, with a batch of 1.
        outputs: the outputs' names in the .param.
        nodes: the operator of each node, by the name that errors call it (its output's where it has none).
        notes: what the user should know.
    """

    model: onnx.ModelProto
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]
    nodes: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def prepare(model: onnx.ModelProto) -> Prepared:
    """Make a network ready; the given one stays as it is.

    Raises:
        ModelError: an input or output that ncnn can't have, or nodes that it can't take.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Exporting to ncnn")
    copy = _in_opset(onnx, model)
    stored = {tensor.name for tensor in copy.graph.initializer}
    kept = [entry for entry in copy.graph.input if entry.name not in stored]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    shapes = {entry.name: _fix_batch(entry) for entry in copy.graph.input}
    outputs = [entry.name for entry in copy.graph.output]
    if not shapes or not outputs:
        raise ModelError("The network has no input or no output.", hint="Export it again.")
    for entry in copy.graph.output:  # told for another batch, perhaps
        entry.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    nodes = tuple((name_of(node), kind_of(node)) for node in copy.graph.node)
    known = _inferred(onnx, copy)
    if found := refusals(copy.graph, known):
        raise refused(found)
    _respell(copy.graph, known)
    count = split_strides(copy.graph, known)
    names = _plain_names([*shapes, *outputs])
    notes = [
        f"{old!r} is called {new!r}: ncnn's names have no spaces and at most {_LONGEST_NAME} letters."
        for old, new in names.items()
        if old != new
    ]
    if count:
        notes.append(f"{count} slices with a step became a slice and a 1x1 pooling, which gives the same.")
    _rename(copy.graph)
    return Prepared(
        copy,
        {names[name]: shape for name, shape in shapes.items()},
        tuple(names[name] for name in outputs),
        nodes,
        tuple(notes),
    )


def _in_opset(onnx: Any, model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in the opsets that pnnx knows best: from 13 (the axis of Softmax) to 17 (axes of reductions as such)."""
    if opset_of(model) > _NEWEST:
        try:
            lowered: onnx.ModelProto = onnx.version_converter.convert_version(model, _NEWEST)
        except Exception:  # RuntimeError mostly; it has operators that opset 17 lacks, and stays as it is
            return copy_of(model)
        return lowered
    return copy_of(lift(model, _OLDEST)[0])


def _fix_batch(entry: onnx.ValueInfoProto) -> Shape:
    """Set the batch of an input to 1; gives its shape."""
    kind = entry.type.tensor_type
    if kind.elem_type != 1:  # TensorProto.FLOAT
        raise ModelError(
            f"The input {entry.name!r} isn't float32, and ncnn's networks take float32.",
            hint="Export the network with float32 inputs: leave a Cast at its begin to the caller.",
        )
    sizes = kind.shape.dim
    for axis, size in enumerate(sizes):
        if size.HasField("dim_value") and size.dim_value > 0:
            continue
        if axis:
            called = size.dim_param or "unnamed"
            raise ModelError(f"Size {axis} of the input {entry.name!r} is free ({called}).", hint=_FIX)
        size.Clear()
        size.dim_value = 1
    shape = tuple(size.dim_value for size in sizes)
    if not 2 <= len(shape) <= 5:
        raise ModelError(
            f"The input {entry.name!r} has {len(shape)} axes; ncnn takes a batch and 1 to 4 more.", hint=_FIX
        )
    if shape[0] != 1:
        raise ModelError(
            f"The input {entry.name!r} has a fixed batch of {shape[0]}, and ncnn has no batch axis.",
            hint="Export the network with a batch of 1, or of any size.",
        )
    return shape


def _inferred(onnx: Any, model: onnx.ModelProto) -> dict[str, Shape]:
    """The shapes that can be inferred in full, by tensor."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx's own InferenceError, or RuntimeError from its C++
        raise ModelError(
            f"The shapes inside the network can't be found: {first_line(error)}.", hint=_FIX
        ) from error
    shapes = {tensor.name: tuple(tensor.dims) for tensor in constants(model.graph).values()}
    for entry in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        kind = entry.type.tensor_type
        sizes = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
        if kind.HasField("shape") and min(sizes, default=0) >= 0:
            shapes[entry.name] = tuple(sizes)
    return shapes


def _respell(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> None:
    """Say attributes in the way that pnnx understands; nothing changes."""
    for node in graph.node:
        if is_op(node, "Resize") and attribute(node, "mode") in ("linear", "cubic"):
            set_attribute(node, "nearest_mode", "floor")  # means nothing there, and it wants no other
        if is_op(node, "Softmax", "LogSoftmax", "Concat", "Split", "Gather") and node.input[0] in shapes:
            axis = attribute(node, "axis", -1 if "Softmax" in node.op_type else 0)
            if axis < 0:  # between two Transposes it takes -1 for the batch
                set_attribute(node, "axis", axis + len(shapes[node.input[0]]))


def _plain_names(names: list[str]) -> dict[str, str]:
    """For each name one that a .param can hold, no two alike."""
    plain: dict[str, str] = {}
    for name in names:
        short = "_".join(name.split())[:_LONGEST_NAME] or "tensor"
        number, unique = 1, short
        while unique in plain.values():
            number += 1
            unique = f"{short}_{number}"
        plain.setdefault(name, unique)
    return plain


def _rename(graph: onnx.GraphProto) -> None:
    """Give every tensor and node a plain name: pnnx writes them into text without quoting.

    Subgraphs have been refused before: what they see from outside would keep its old name.
    """
    names = {entry.name: f"in{place}" for place, entry in enumerate(graph.input)}
    names |= {entry.name: f"out{place}" for place, entry in enumerate(graph.output)}

    def new(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for entry in (*graph.input, *graph.output, *graph.initializer):
        entry.name = new(entry.name)
    for place, node in enumerate(graph.node):
        node.name = f"n{place}"
        for field in (node.input, node.output):
            field[:] = [new(name) for name in field]
