"""Scalings and shifts of the input folded into the convolution after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeproof.formats.graph import (
    add_constant,
    attribute,
    constants,
    is_op,
    names_in,
    onnx_for,
    opset_of,
    pinned,
    remove_makers_of,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class _Affine:
    """y = x * scale + shift; float64, either one value or one for each channel."""

    tensor: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def fold_normalisation(model: onnx.ModelProto) -> int:
    """Fold Mul, Div, Add, Sub by a constant into the convolutions that take the result; gives how many.

    A scaling s goes into the weights (W' = W s). A shift t goes into the bias (b' = b + sum W t), and only
    where the convolution does not pad: its zeros are added after the shift, so at the border the sum would
    be wrong.
    """
    graph = model.graph
    if opset_of(model) < 7:  # before opset 7 these operators did not broadcast as numpy does
        return 0
    known, users, kept = constants(graph), takers(graph), pinned(graph)
    taken = names_in(graph)
    folded: set[str] = set()
    for node in graph.node:
        if not is_op(node, "Mul", "Div", "Add", "Sub") or node.output[0] in kept:
            continue
        convolutions = users.get(node.output[0], [])
        if not convolutions or not all(_is_plain_conv(user, node.output[0], known) for user in convolutions):
            continue
        affine = _affine(node, model, known, len(known[convolutions[0].input[1]].dims))
        if affine is None:
            continue
        weights = [_folded(conv, affine, known) for conv in convolutions]
        if any(pair is None for pair in weights):
            continue
        for conv, pair in zip(convolutions, weights, strict=True):
            assert pair is not None
            weight, bias = pair
            stem = conv.input[1]
            del conv.input[1:]
            conv.input[0] = affine.tensor
            conv.input.append(add_constant(graph, taken, f"{stem}_scaled", weight))
            if bias is not None:
                conv.input.append(add_constant(graph, taken, f"{stem}_scaled_bias", bias))
        folded.add(node.output[0])
        # The graph has changed under the indexes; the next round goes on from here.
        break
    remove_makers_of(graph, folded)
    return len(folded)


def _is_plain_conv(node: onnx.NodeProto, tensor: str, known: dict[str, onnx.TensorProto]) -> bool:
    return (
        is_op(node, "Conv")
        and node.input[0] == tensor
        and all(not name or name in known for name in node.input[1:])
        and value_of(known[node.input[1]]).dtype == np.float32
    )


def _affine(
    node: onnx.NodeProto, model: onnx.ModelProto, known: dict[str, onnx.TensorProto], rank: int
) -> _Affine | None:
    left, right = node.input
    if right in known and left not in known:
        tensor, constant = left, right
    elif left in known and right not in known and is_op(node, "Mul", "Add"):
        tensor, constant = right, left
    else:
        return None
    value = value_of(known[constant])
    if value.dtype != np.float32 or value.ndim > rank or not np.isfinite(value).all():
        return None
    shape = (1,) * (rank - value.ndim) + value.shape
    if value.size != 1 and (
        any(size != 1 for axis, size in enumerate(shape) if axis != 1)
        # Else the constant would widen a single channel, which no weight can stand for.
        or _channels(model, tensor) != shape[1]
    ):
        return None
    flat = value.astype(np.float64).reshape(-1)
    one, zero = np.ones(1), np.zeros(1)
    if node.op_type == "Mul":
        return _Affine(tensor, flat, zero)
    if node.op_type == "Div":
        return _Affine(tensor, 1.0 / flat, zero) if flat.all() else None
    return _Affine(tensor, one, flat if node.op_type == "Add" else -flat)


def _channels(model: onnx.ModelProto, tensor: str) -> int | None:
    inferred = onnx_for("Simplifying a network").shape_inference.infer_shapes(model)
    for entry in (*inferred.graph.input, *inferred.graph.value_info):
        if entry.name == tensor and len(entry.type.tensor_type.shape.dim) > 1:
            return int(entry.type.tensor_type.shape.dim[1].dim_value)
    return None


def _folded(
    conv: onnx.NodeProto, affine: _Affine, known: dict[str, onnx.TensorProto]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None] | None:
    """The convolution's new weight and bias, or None where the result would not be the same."""
    weight = value_of(known[conv.input[1]]).astype(np.float64)
    bias = (
        value_of(known[conv.input[2]]).astype(np.float64) if len(conv.input) > 2 and conv.input[2] else None
    )
    shifts = bool(affine.shift.any())
    unpadded = attribute(conv, "auto_pad", "NOTSET") in ("NOTSET", "VALID") and not any(
        attribute(conv, "pads", [])
    )
    if shifts and not unpadded:
        return None
    outputs, inputs = weight.shape[:2]
    groups = int(attribute(conv, "group", 1))
    if max(affine.scale.size, affine.shift.size) not in (1, inputs * groups):
        return None
    # One row of input channels for each group, repeated for the group's outputs: (outputs, inputs, 1, ...).
    shape = (outputs, inputs, *[1] * (weight.ndim - 2))
    per_output = [
        np.repeat(
            np.broadcast_to(part, (inputs * groups,)).reshape(groups, inputs), outputs // groups, axis=0
        )
        for part in (affine.scale, affine.shift)
    ]
    scale, shift = (part.reshape(shape) for part in per_output)
    if shifts:
        moved = (weight * shift).reshape(outputs, -1).sum(axis=1)
        bias = moved if bias is None else bias + moved
    with np.errstate(over="ignore"):
        new_weight = (weight * scale).astype(np.float32)
        new_bias = None if bias is None else bias.astype(np.float32)
    finite = np.isfinite(new_weight).all() and (new_bias is None or np.isfinite(new_bias).all())
    return (new_weight, new_bias) if finite else None
