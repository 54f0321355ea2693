"""Batch normalisation folded into the convolution before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeproof.formats.graph import (
    add_constant,
    attribute,
    constants,
    is_op,
    makers,
    names_in,
    opset_of,
    pinned,
    remove_makers_of,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx


def fold_batch_norms(model: onnx.ModelProto) -> int:
    """Fold each BatchNormalization that alone takes a convolution's output; gives how many.

    With s = scale / sqrt(var + epsilon): W' = W s, b' = (b - mean) s + B (ONNX operator BatchNormalization).
    """
    graph = model.graph
    known, users, made, kept = constants(graph), takers(graph), makers(graph), pinned(graph)
    taken = names_in(graph)
    folded: set[str] = set()
    for node in graph.node:
        if not _is_inference(node, opset_of(model)) or any(name not in known for name in node.input[1:]):
            continue
        middle = node.input[0]
        conv = made.get(middle)
        if conv is None or not is_op(conv, "Conv") or middle in kept or len(users[middle]) != 1:
            continue
        if any(name and name not in known for name in conv.input[1:]):
            continue
        weight = value_of(known[conv.input[1]])
        if weight.dtype != np.float32:
            continue
        scale, shift, mean, variance = (value_of(known[name]).astype(np.float64) for name in node.input[1:5])
        factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        bias = (
            value_of(known[conv.input[2]]).astype(np.float64)
            if len(conv.input) > 2 and conv.input[2]
            else 0.0
        )
        new_weight = (weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)
        new_bias = ((bias - mean) * factor + shift).astype(np.float32)
        if not (np.isfinite(new_weight).all() and np.isfinite(new_bias).all()):
            continue
        stem = conv.input[1]
        del conv.input[1:]
        conv.input.append(add_constant(graph, taken, f"{stem}_folded", new_weight))
        conv.input.append(add_constant(graph, taken, f"{stem}_folded_bias", new_bias))
        # The convolution now makes what the normalisation made; its old name marks the node for removal.
        conv.output[0], node.output[0] = node.output[0], middle
        made[conv.output[0]] = conv
        folded.add(middle)
    remove_makers_of(graph, folded)
    return len(folded)


def _is_inference(node: onnx.NodeProto, opset: int) -> bool:
    if not is_op(node, "BatchNormalization") or any(node.output[1:]):
        return False
    if opset < 7 and not attribute(node, "is_test", 0):
        return False
    return bool(attribute(node, "spatial", 1)) and not attribute(node, "training_mode", 0)
