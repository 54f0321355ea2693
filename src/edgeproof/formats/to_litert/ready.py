"""A network made ready for writing: every shape known, and all that is known beforehand computed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.errors import ModelError
from edgeproof.core.tensor import Array
from edgeproof.formats.graph import (
    attribute,
    first_line,
    is_op,
    onnx_for,
    plain_constant,
    subgraphs,
    value_of,
)
from edgeproof.formats.to_litert.fold import folded
from edgeproof.formats.to_litert.whole import moved_before

if TYPE_CHECKING:
    import onnx

# What a small node (Expand, Tile) may blow up; also what a hostile file can ask for.
_LARGEST_CONSTANT = 16 * 2**20
_MOST_ROUNDS = 64
_LARGEST_SIZE = 2**31 - 1
# Weights behind these are stored small on purpose, and stay so.
_KEPT_SMALL = ("DequantizeLinear", "QuantizeLinear", "Cast")
_FIX = "Export it with fixed sizes; only the first, the batch, may be free."


@dataclass(frozen=True)
class Ready:
    """Nodes in their order, with the shape and type of every tensor between them.

    Attributes:
        free_batch: whether the first size of some input was open; the shapes are those of a batch of `batch`.
    """

    nodes: tuple[onnx.NodeProto, ...]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, np.dtype[Any]]
    constants: dict[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    free_batch: bool


def ready(model: onnx.ModelProto, batch: int) -> Ready:
    """Fix the batch where it is open, find every shape, compute what depends on no input.

    Arguments:
        model: the network, opset 13 or later; not changed.
        batch: the size to put where the first one of an input is free.

    Raises:
        ModelError: another size of an input is free, or a shape can't be found.
    """
    onnx_for("Writing a TFLite network")
    copy = _without_weights(model)
    graph = copy.graph
    constants = {tensor.name: value_of(tensor) for tensor in model.graph.initializer}
    free = _fix_inputs(graph, batch)
    nodes = list(graph.node)
    for _ in range(_MOST_ROUNDS):
        inferred = _inferred(copy, nodes, constants)
        left = _folded(inferred, nodes, constants, model)
        if len(left) == len(nodes):
            break
        nodes = left
    shapes, dtypes = _described(inferred.graph)
    for name, value in constants.items():
        shapes[name], dtypes[name] = value.shape, value.dtype
    nodes = moved_before(nodes, shapes, dtypes)
    nodes = _needed(nodes, graph)
    nodes = folded(nodes, constants, {entry.name for entry in graph.output})
    for name, value in constants.items():
        shapes[name], dtypes[name] = value.shape, value.dtype
    _check_known(nodes, shapes)
    return Ready(
        tuple(nodes),
        shapes,
        dtypes,
        constants,
        tuple(entry.name for entry in graph.input),
        tuple(entry.name for entry in graph.output),
        free,
    )


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of what describes the network: all but the weights, which are large."""
    copy = type(model)()
    copy.ir_version = model.ir_version
    copy.opset_import.extend(model.opset_import)
    graph = copy.graph
    graph.name = "ready"
    graph.node.extend(model.graph.node)
    stored = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(entry for entry in model.graph.input if entry.name not in stored)
    for entry in model.graph.output:
        end = graph.output.add()
        end.CopyFrom(entry)
        end.type.tensor_type.ClearField("shape")  # it may say a batch of 1 where any will do
    return copy


def _fix_inputs(graph: onnx.GraphProto, batch: int) -> bool:
    free = False
    for entry in graph.input:
        kind = entry.type.tensor_type
        if not kind.HasField("shape"):
            raise ModelError(f"The input {entry.name!r} has no shape.", hint=_FIX)
        for axis, size in enumerate(kind.shape.dim):
            if size.HasField("dim_value") and size.dim_value > 0:
                continue
            if axis:
                called = size.dim_param or "unnamed"
                raise ModelError(f"Size {axis} of the input {entry.name!r} is free ({called}).", hint=_FIX)
            size.Clear()
            size.dim_value = batch
            free = True
    return free


def _inferred(
    copy: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: dict[str, Array]
) -> onnx.ModelProto:
    from onnx import helper, numpy_helper, shape_inference

    trial = type(copy)()
    trial.CopyFrom(copy)
    graph = trial.graph
    del graph.node[:]
    graph.node.extend(nodes)
    taken = {name for node in nodes for name in node.input}
    for name, value in constants.items():
        if name not in taken:
            continue
        # Shapes are found from the values of short lists; of weights the sizes are enough.
        if value.ndim < 2 and value.size <= 1024:
            graph.initializer.append(numpy_helper.from_array(value, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            graph.input.append(helper.make_tensor_value_info(name, kind, value.shape))
    # An operator that the standard lacks is refused by name later; strictly checked it would end everything here.
    strict = all(is_op(node, node.op_type) for node in nodes)
    try:
        return shape_inference.infer_shapes(trial, check_type=strict, strict_mode=strict, data_prop=True)
    except Exception as error:  # onnx's own InferenceError, or RuntimeError from its C++
        raise ModelError(
            f"The shapes inside the network can't be found: {first_line(error)}.", hint=_FIX
        ) from error


def _described(
    graph: onnx.GraphProto,
) -> tuple[dict[str, tuple[int, ...]], dict[str, np.dtype[Any]]]:
    from onnx import helper

    shapes, dtypes = {}, {}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        kind = entry.type.tensor_type
        if (
            kind.elem_type
            and kind.HasField("shape")
            and all(size.HasField("dim_value") for size in kind.shape.dim)
        ):
            shapes[entry.name] = tuple(int(size.dim_value) for size in kind.shape.dim)
            dtypes[entry.name] = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return shapes, dtypes


def _folded(
    inferred: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Array],
    model: onnx.ModelProto,
) -> list[onnx.NodeProto]:
    """The nodes that are left; the results of the others are added to `constants`."""
    from onnx import helper

    shapes, dtypes = _described(inferred.graph)
    left: list[Any] = []
    for node in nodes:
        if is_op(node, "Constant"):
            constants[node.output[0]] = _constant(node)
        elif is_op(node, "Shape") and node.input[0] in shapes:
            begin, end = attribute(node, "start", 0), attribute(node, "end")
            constants[node.output[0]] = np.asarray(shapes[node.input[0]][begin:end], np.int64)
        elif is_op(node, "Size") and node.input[0] in shapes:
            constants[node.output[0]] = np.asarray(math.prod(shapes[node.input[0]]), np.int64)
        else:
            names = [name for name in node.output if name]
            known = all(name in constants for name in node.input if name)
            small = all(_bytes(name, shapes, dtypes) <= _LARGEST_CONSTANT for name in names)
            kept = is_op(node, *_KEPT_SMALL) and constants.get(node.input[0], _EMPTY).ndim > 0
            if kept and is_op(node, "Cast"):
                kept = constants[node.input[0]].dtype == np.float16
            results = None
            if known and small and not kept and not any(subgraphs(node)):
                opsets = [helper.make_opsetid(entry.domain, entry.version) for entry in model.opset_import]
                results = _computed(node, constants, opsets)
            if results is None:
                left.append(node)
            else:
                constants.update(zip(names, results, strict=True))
    return left


_EMPTY: Array = np.zeros(())


def _bytes(name: str, shapes: dict[str, tuple[int, ...]], dtypes: dict[str, np.dtype[Any]]) -> int:
    if name not in shapes:
        return _LARGEST_CONSTANT + 1
    return math.prod(shapes[name]) * dtypes[name].itemsize


def _constant(node: onnx.NodeProto) -> Array:
    value = attribute(node, "value")
    if value is not None:
        return value_of(value)
    plain = plain_constant(node)
    if plain is not None:
        return plain
    raise ModelError(
        f"The constant {node.output[0]!r} is no tensor of numbers.", hint="Export the network without it."
    )


def _computed(node: onnx.NodeProto, constants: dict[str, Array], opsets: Iterable[Any]) -> list[Array] | None:
    """What a node gives; None where the runtime can't say."""
    import onnxruntime
    from onnx import helper, numpy_helper

    onnxruntime.disable_telemetry_events()
    names = [name for name in node.output if name]
    stored = [numpy_helper.from_array(constants[name], name) for name in dict.fromkeys(node.input) if name]
    ends = [helper.make_empty_tensor_value_info(name) for name in names]
    tiny = helper.make_model(
        helper.make_graph([node], "node", [], ends, stored), opset_imports=list(opsets), ir_version=8
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            tiny.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(names, {})
    except Exception:  # whatever this runtime can't compute stays in the graph, to be refused by name
        return None
    return list(results) if all(isinstance(each, np.ndarray) for each in results) else None


def _needed(nodes: list[onnx.NodeProto], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    wanted = {entry.name for entry in graph.output}
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _check_known(nodes: list[onnx.NodeProto], shapes: dict[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if math.prod(shape) > _LARGEST_SIZE:
            raise ModelError(f"{name!r} has the shape {list(shape)}: TFLite counts in 32 bits.", hint=_FIX)
    for node in nodes:
        if any(subgraphs(node)) or not is_op(node, node.op_type):
            continue  # refused by name later, with the other nodes that can't be written
        if any(name and name not in shapes for name in node.input):
            continue  # behind one of those
        for name in node.output:
            if (
                name
                and name not in shapes
                and node.op_type not in ("Dropout", "BatchNormalization", "MaxPool")
            ):
                raise ModelError(
                    f"The shape of {name!r}, which the node {node.name or name!r} ({node.op_type}) makes, "
                    "depends on what comes in.",
                    hint=_FIX + " Steps like NonZero and NonMaxSuppression belong behind the network.",
                )
