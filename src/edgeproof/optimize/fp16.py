"""Weights stored as float16: half the file, the same float32 arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeproof.formats.graph import (
    add_constant,
    constants,
    copy_of,
    is_op,
    names_in,
    onnx_for,
    pinned,
    set_nodes,
    takers,
    value_of,
)
from edgeproof.formats.onnx import check_model
from edgeproof.optimize import PassResult

if TYPE_CHECKING:
    import onnx

# Smaller tensors (biases, scales) would save less than the node that widens them costs.
_SMALLEST = 1024


def fp16_weights(model: onnx.ModelProto) -> PassResult:
    """Store float32 weights of 1024 values or more as float16, with a Cast back to float32 behind each.

    ONNX Runtime computes the Casts as it loads, so speed and memory stay those of float32. A weight with a
    value beyond float16's range (65,504, IEEE 754 binary16) is left alone and named in the notes.

    Raises:
        ModelError: the network breaks the rules of ONNX, or holds NaN.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Storing weights as float16")
    check_model(model, "The network")
    copy = copy_of(model)
    graph = copy.graph
    known, users, taken = constants(graph), takers(graph), names_in(graph)
    outputs = {entry.name for entry in graph.output}
    seen = users.keys() | pinned(graph)
    casts, too_large = [], []
    for name, tensor in known.items():
        # The scales of a quantised network multiply whole channels: half precision there costs accuracy.
        scales = any(is_op(user, "QuantizeLinear", "DequantizeLinear") for user in users.get(name, []))
        if tensor.data_type != onnx.TensorProto.FLOAT or name in outputs or name not in seen or scales:
            continue
        value = value_of(tensor)
        if value.size < _SMALLEST:
            continue
        if np.abs(value).max() > np.finfo(np.float16).max:
            too_large.append(name)
            continue
        half = add_constant(graph, taken, f"{name}_fp16", value.astype(np.float16))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    notes = [f"{name} stays float32: it holds values beyond float16's range (65,504)." for name in too_large]
    if not casts:
        return PassResult(copy, False, (*notes, "No weight was stored as float16."))
    stored = {cast.output[0] for cast in casts}
    weights = [tensor for tensor in graph.initializer if tensor.name not in stored]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    set_nodes(graph, [*casts, *graph.node])
    notes.insert(
        0,
        f"{len(casts)} weights are stored as float16: {model.ByteSize() / 1e6:.1f} MB became "
        f"{copy.ByteSize() / 1e6:.1f} MB; the arithmetic stays float32.",
    )
    return PassResult(copy, True, tuple(notes))
