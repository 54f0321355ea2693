"""Reading an ONNX graph: who makes a tensor, who takes it, what is known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.extras import require
from edgeproof.core.tensor import Array

if TYPE_CHECKING:
    import onnx

STANDARD = ("", "ai.onnx")


def onnx_for(purpose: str) -> Any:
    """The onnx package, with the submodules that the passes use.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    package = require("onnx", extra="fit", purpose=purpose)
    for part in ("checker", "helper", "numpy_helper", "shape_inference", "version_converter"):
        require(f"onnx.{part}", extra="fit", purpose=purpose)
    return package


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that shares nothing with `model`."""
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def first_line(error: Exception) -> str:
    """The first line of a library's message, without its full stop: what follows is its own call stack."""
    lines = (line.strip().rstrip(".") for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def is_op(node: onnx.NodeProto, *types: str) -> bool:
    """Whether a node is one of these operators of the ONNX standard, not a namesake of another domain."""
    return node.op_type in types and node.domain in STANDARD


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a network is written in; 0 where it uses none."""
    return max((int(entry.version) for entry in model.opset_import if entry.domain in STANDARD), default=0)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute, text as str; `default` where it is absent."""
    from onnx.helper import get_attribute_value

    for entry in node.attribute:
        if entry.name == name:
            value = get_attribute_value(entry)
            return value.decode(errors="replace") if isinstance(value, bytes) else value
    return default


def plain_constant(node: onnx.NodeProto) -> Array | None:
    """The number or list of numbers that a Constant node holds as such; None where it holds a tensor, or text."""
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        value = attribute(node, name)
        if value is not None:
            return np.array(value, dtype)
    return None


def set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    """Set a node's attribute, in place of what it was."""
    from onnx.helper import make_attribute

    kept = [entry for entry in node.attribute if entry.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, make_attribute(name, value)])


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside a node (If, Loop, Scan)."""
    for entry in node.attribute:
        if entry.HasField("g"):
            yield entry.g
        yield from entry.graphs


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs too."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


def all_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor: initializers and attributes, those of subgraphs too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for entry in node.attribute:
            if entry.HasField("t"):
                yield entry.t
            yield from entry.tensors
        for inner in subgraphs(node):
            yield from all_tensors(inner)


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The initializers that a caller can't override, by name."""
    inputs = {entry.name for entry in graph.input}
    return {tensor.name: tensor for tensor in graph.initializer if tensor.name not in inputs}


def value_of(tensor: onnx.TensorProto) -> Array:
    """The value of a stored tensor."""
    from onnx.numpy_helper import to_array

    value: Array = to_array(tensor)
    return value


def makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each tensor."""
    return {name: node for node in graph.node for name in node.output if name}


def takers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that take each tensor as an input; not those that only see it from a subgraph (`pinned`)."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            if name:
                found.setdefault(name, []).append(node)
    return found


def pinned(graph: onnx.GraphProto) -> set[str]:
    """The tensors whose names have to stay: the graph's outputs, and what its subgraphs see from outside."""
    names = {entry.name for entry in graph.output}
    for node in graph.node:
        for inner in subgraphs(node):
            names.update(_seen_by(inner))
    return names


def _seen_by(graph: onnx.GraphProto) -> Iterator[str]:
    # Names that are defined inside are included too: to pin one name too many costs nothing.
    yield from (entry.name for entry in graph.output)
    for node in graph.node:
        yield from node.input
        for inner in subgraphs(node):
            yield from _seen_by(inner)


def names_in(graph: onnx.GraphProto) -> set[str]:
    """Every tensor name in use, so that a new one can avoid them."""
    names = {tensor.name for tensor in graph.initializer} | {entry.name for entry in graph.input}
    for node in all_nodes(graph):
        names.update(node.input, node.output)
    return names | pinned(graph)


def new_name(taken: set[str], wanted: str) -> str:
    """`wanted`, or the next free name after it; the answer is added to `taken`."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def add_constant(graph: onnx.GraphProto, taken: set[str], wanted: str, value: Array) -> str:
    """Store `value` as a new initializer; gives its name."""
    from onnx.numpy_helper import from_array

    name = new_name(taken, wanted)
    graph.initializer.append(from_array(np.ascontiguousarray(value).reshape(value.shape), name))
    return name


def set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Replace the graph's nodes."""
    kept = list(nodes)
    del graph.node[:]
    graph.node.extend(kept)


def remove_makers_of(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Remove the nodes whose first output is one of these."""
    if outputs:
        set_nodes(graph, [node for node in graph.node if not node.output or node.output[0] not in outputs])


def replace_input(node: onnx.NodeProto, old: str, new: str) -> None:
    """Make a node take `new` wherever it took `old`."""
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new
