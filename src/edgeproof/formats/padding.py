"""Zeros that a Pad makes before a MaxPool, kept from ONNX Runtime's optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import (
    add_constant,
    attribute,
    constants,
    is_op,
    makers,
    names_in,
    opset_of,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx

# What the optimiser may take away between the two, where it changes nothing.
_PASSED = ("Identity", "Dropout", "Transpose", "Cast", "Add", "Sub", "Mul", "Div")


def keep_padding(model: onnx.ModelProto) -> int:
    """Write the zeros of each Pad whose output reaches a MaxPool as -0.0; gives how many Pads were changed.

    ONNX Runtime (1.31 at least) makes a Pad of zeros the padding of the MaxPool behind it, which never wins: wrong
    where all else in a window is below zero. It knows such zeros by their bytes (optimizer/pad_fusion.cc), and -0.0
    has others; to sums, products and comparisons it is the same number, in half precision too.

    Arguments:
        model: opset 11 or later, with the types of its tensors inferred; changed in place. Pads of whole numbers, which
            have no second zero, stay as they are.
    """
    graph = model.graph
    if opset_of(model) < 11 or not any(is_op(node, "Pad") for node in graph.node):
        return 0
    known, users, made, taken = constants(graph), takers(graph), makers(graph), names_in(graph)
    types = {
        entry.name: entry.type.tensor_type.elem_type
        for entry in (*graph.input, *graph.value_info, *graph.output)
    }
    types |= {name: tensor.data_type for name, tensor in known.items()}
    count = 0
    for node in graph.node:
        if not is_op(node, "Pad") or attribute(node, "mode", "constant") != "constant":
            continue
        minus = _minus_zero(node, known, made, types)
        if minus is None or not _reaches_pool(node.output[0], users):
            continue
        name = add_constant(graph, taken, f"{node.output[0]}/zero", minus)
        if len(node.input) > 2:
            node.input[2] = name
        else:
            node.input.append(name)
        count += 1
    return count


def _minus_zero(
    node: onnx.NodeProto,
    known: dict[str, onnx.TensorProto],
    made: dict[str, onnx.NodeProto],
    types: dict[str, int],
) -> Array | None:
    """-0.0 in the type of what is padded; None where it is padded with another number, or one that isn't known."""
    from onnx import helper

    name = node.input[2] if len(node.input) > 2 else ""
    if not name:
        kind = types.get(node.input[0], 0)
        zero: Array = np.zeros((), helper.tensor_dtype_to_np_dtype(kind) if kind else np.int64)
    else:
        maker = made.get(name)
        stored = (
            attribute(maker, "value") if maker is not None and is_op(maker, "Constant") else known.get(name)
        )
        if stored is None:
            return None
        zero = value_of(stored)
    if zero.dtype.kind != "f" or zero.size != 1 or zero.any() or np.signbit(zero).any():
        return None
    return np.full_like(zero, -0.0)


def _reaches_pool(tensor: str, users: dict[str, list[onnx.NodeProto]]) -> bool:
    left, seen = [tensor], {tensor}
    while left:
        for user in users.get(left.pop(), ()):
            if is_op(user, "MaxPool"):
                return True
            if is_op(user, *_PASSED):
                left.extend(name for name in user.output if name and name not in seen)
                seen.update(user.output)
    return False
