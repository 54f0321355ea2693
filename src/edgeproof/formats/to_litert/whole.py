"""Networks that were quantised elsewhere: whole numbers that are only moved about, and weights of unsigned bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import is_op
from edgeproof.formats.to_litert.flatfile import Graph, Quantisation, Tensor

if TYPE_CHECKING:
    import onnx

_MOVES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def moved_before(
    nodes: list[onnx.NodeProto], shapes: dict[str, tuple[int, ...]], dtypes: dict[str, np.dtype[Any]]
) -> list[onnx.NodeProto]:
    """The nodes with each QuantizeLinear behind what only moves its whole numbers: the same numbers either way.

    Arguments:
        shapes, dtypes: of the tensors between them; those of new ones are added.
    """
    from onnx import helper

    makers: dict[str, onnx.NodeProto] = {}
    found = []
    for node in nodes:
        before = makers.get(node.input[0]) if node.input and is_op(node, *_MOVES) else None
        if before is not None and shapes.get(before.input[1]) in ((), (1,)):
            end = node.output[0]
            real = f"{end}/real"
            moved = helper.make_node(node.op_type, [before.input[0], *node.input[1:]], [real], name=node.name)
            moved.attribute.extend(node.attribute)
            quantised = helper.make_node(
                before.op_type, [real, *before.input[1:]], [end], name=f"{node.name}/quantise"
            )
            quantised.attribute.extend(before.attribute)
            shapes[real], dtypes[real] = shapes.get(end, ()), np.dtype(np.float32)
            found.append(moved)
            node = quantised  # noqa: PLW2901 - what stands in its place
        if is_op(node, "QuantizeLinear"):
            makers[node.output[0]] = node
        found.append(node)
    return found


def weights_are_unsigned(nodes: tuple[onnx.NodeProto, ...], constants: Mapping[str, Array]) -> bool:
    """Whether weights are bytes with a zero point of their own, for which TFLite's int8 kernels have no place.

    Those of uint8 do, and know one scale for a tensor only; so this is False where some weights have more.
    """
    weights = [
        (constants[node.input[0]], constants[node.input[1]], constants.get(node.input[2]))
        for node in nodes
        if is_op(node, "DequantizeLinear") and len(node.input) > 2
        and constants.get(node.input[0], _SCALAR).ndim > 1 and node.input[1] in constants
    ]  # fmt: skip
    if any(scale.size != 1 for _, scale, _ in weights):
        return False
    return any(
        value.dtype == np.uint8 and zero is not None and (zero != 128).any() for value, _, zero in weights
    )


_SCALAR: Array = np.zeros(())


def as_unsigned(graph: Graph) -> Graph:
    """The same graph in uint8 in place of int8: every zero point and every stored number 128 higher."""
    tensors = [_unsigned(tensor) if tensor.dtype == "int8" else tensor for tensor in graph.tensors]
    return Graph(tensors, graph.operators, graph.inputs, graph.outputs)


def _unsigned(tensor: Tensor) -> Tensor:
    known = tensor.quantisation
    if known is None:
        return tensor
    value = None if tensor.value is None else (tensor.value.astype(np.int16) + 128).astype(np.uint8)
    higher = Quantisation(known.scale, known.zero + 128, known.axis)
    return Tensor(tensor.name, tensor.shape, "uint8", value, higher, tensor.signature)
