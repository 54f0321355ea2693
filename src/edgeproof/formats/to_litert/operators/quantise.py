"""QuantizeLinear and DequantizeLinear, and which nodes between them are computed in int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeproof.formats.graph import attribute, is_op
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Quantisation
from edgeproof.formats.to_litert.operators.elementwise import saturating

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_INT8 = (
    *_WEIGHTED,
    *("Add", "Sub", "Mul", "Concat", "Sigmoid", "Tanh", "Softmax", "LeakyRelu", "HardSwish", "Relu", "Clip"),
    *("AveragePool", "GlobalAveragePool", "ReduceMean", "MaxPool", "Pad", "Resize", "Slice", "Split"),
    *("Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"),
)


def quantisation(builder: Builder, node: Any) -> Quantisation:
    """The scale and zero point of a QuantizeLinear or DequantizeLinear, as of int8."""
    scale = builder.constant(node.input[1], "scale").astype(np.float32).reshape(-1)
    zero = np.zeros(1, np.int64)
    kind = "uint8"
    if len(node.input) > 2 and node.input[2]:
        stored = builder.constant(node.input[2], "zero point")
        zero, kind = stored.astype(np.int64).reshape(-1), stored.dtype.name
    elif is_op(node, "DequantizeLinear"):
        kind = builder.network.dtypes[node.input[0]].name
    if kind not in ("uint8", "int8", "int32"):
        raise Refused(f"it quantises to {kind}; only 8 bits can be said")
    if attribute(node, "block_size", 0):
        raise Refused("it quantises in blocks")
    zero = np.broadcast_to(zero, scale.shape)
    axis = attribute(node, "axis", 1) if scale.size > 1 else 0
    return Quantisation(scale, zero - 128 if kind == "uint8" else zero, axis)


def quantise(builder: Builder, node: Any) -> None:
    """QuantizeLinear: nothing where the node before it gave int8 already."""
    source, end = node.input[0], node.output[0]
    if end in builder.quantised and builder.orders(end):
        return
    known = quantisation(builder, node)
    if known.scale.size > 1:
        raise Refused("it quantises a computed tensor with a scale for each channel")
    builder.quantised[end] = known
    order = builder.best_order([source], builder.rank(source))
    number = builder.take(source, order)
    builder.put(end, builder.quantised_step(number, end, known), order)


def dequantise(builder: Builder, node: Any) -> None:
    """DequantizeLinear: the real numbers are made only where a node takes them as such."""
    source, end = node.input[0], node.output[0]
    stored = builder.known(source)
    known = quantisation(builder, node)
    if stored is not None:
        value = stored.value
        if value.dtype == np.uint8:
            value = (value.astype(np.int16) - 128).astype(np.int8)
        rank = value.ndim
        axis = known.axis % rank if rank else 0
        builder.keep(end, Known(value, Quantisation(known.scale, known.zero, axis)))
    elif source in builder.quantised:
        if not known.same_as(builder.quantised[source]):
            raise Refused("it reads whole numbers in another scale than they were written in")
        builder.behind[end] = source
    else:
        raise Refused("its whole numbers don't come from a QuantizeLinear")


def integer_outputs(builder: Builder, node: Any, takers: dict[str, list[Any]]) -> dict[str, str]:
    """Each output of a node with the quantised tensor that it is to give, if the node can be computed in int8.

    It can if everything that comes in is quantised, and everything that goes out goes into QuantizeLinear only.
    """
    if not is_op(node, *_INT8) or (is_op(node, "Clip") and not saturating(builder, node)):
        return {}
    weighted = is_op(node, *_WEIGHTED)
    data = [name for name in node.input if name and builder.known(name) is None]
    if not data or not all(name in builder.behind for name in data) or (weighted and len(data) > 1):
        return {}
    if weighted and not _fits(builder, node):
        return {}
    # Putting right what the padding counts for takes more than 8 bits.
    padded = any(attribute(node, "pads", [])) or "SAME" in attribute(node, "auto_pad", "")
    if is_op(node, "AveragePool") and (padded or attribute(node, "ceil_mode", 0)):
        return {}
    found = {}
    for name in node.output:
        user = _only_user(builder, name, takers)
        activation = user is not None and is_op(user, "Relu", "Clip") and not is_op(node, "Relu", "Clip")
        if activation and user is not None and saturating(builder, user):
            user = _only_user(builder, user.output[0], takers)
        if user is None or not is_op(user, "QuantizeLinear"):
            return {}
        known = quantisation(builder, user)
        if known.scale.size > 1:
            return {}
        if activation:
            found[name] = builder.before_activation(name, known)
        else:
            found[name] = user.output[0]
            builder.quantised[found[name]] = known
    return found


def _only_user(builder: Builder, name: str, takers: dict[str, list[Any]]) -> Any:
    users = takers.get(name, [])
    return users[0] if len(users) == 1 and name not in builder.network.outputs else None


def _fits(builder: Builder, node: Any) -> bool:
    """Whether the weights are of 8 bits and symmetric, or unsigned; with one scale, or one for each output channel."""
    stored = builder.known(node.input[1])
    if stored is None or stored.quantisation is None or stored.value.dtype != np.int8:
        return False
    if is_op(node, "Gemm") and (
        attribute(node, "alpha", 1.0) != 1.0
        or attribute(node, "transA", 0)
        or attribute(node, "beta", 1.0) != 1.0
    ):
        return False
    channel = 0 if is_op(node, "Conv") or attribute(node, "transB", 0) else stored.value.ndim - 1
    known = stored.quantisation
    if known.zero.any() and not builder.unsigned:
        return False
    return known.scale.size == 1 or known.axis == channel
