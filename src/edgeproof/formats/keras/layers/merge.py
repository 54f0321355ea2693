"""Layers and operations that take several tensors, or a tensor and a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeproof.formats.keras.graph import Builder, Shape, Value, shown
from edgeproof.formats.keras.network import Layer

# ONNX's operator for the layers (Keras' names) and operations (those of keras.ops and of TensorFlow).
BINARY = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "TrueDivide": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
}
_TENSORFLOW = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
}


def merge(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add, Subtract, Multiply, Divide, Maximum, Minimum, from left to right."""
    return _merged(builder, inputs, BINARY[layer.kind])


def average(builder: Builder, _: Layer, inputs: Sequence[Value]) -> Value:
    """Average."""
    total = _merged(builder, inputs, "Add")
    share = Value((), stored=np.asarray(1 / len(inputs), np.float32))
    return _merged(builder, [total, share], "Mul")


def tensorflow(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """TFOpLambda: a function of TensorFlow that was called on tensors of Keras 2."""
    name = layer.settings.text("function", "")
    if name in _TENSORFLOW:
        return _merged(builder, inputs, BINARY[_TENSORFLOW[name]])
    short = name.removeprefix("nn.").removeprefix("math.")
    from edgeproof.formats.keras.layers.activation import ACTIVATIONS, apply

    if short in ACTIVATIONS and len(inputs) == 1:
        return apply(builder, inputs[0], ACTIVATIONS[short])
    raise builder.error(
        f"calls TensorFlow's function {name[:60]!r}, which isn't read",
        "Build the network with a layer in its place, and save it again.",
    )


def _merged(builder: Builder, inputs: Sequence[Value], kind: str) -> Value:
    if len(inputs) < 2:
        raise builder.error(f"takes {len(inputs)} tensors, and needs 2 or more")
    rank = max(len(value.shape) for value in inputs)
    values = [_lifted(builder, value, rank) for value in inputs]
    order = builder.best_order(values, rank)
    shape, name = values[0].shape, builder.get(values[0], order)
    for value in values[1:]:
        shape = _broadcast(builder, shape, value.shape)
        name = builder.one(kind, name, builder.get(value, order))
    return builder.put(name, shape, order)


def _lifted(builder: Builder, value: Value, rank: int) -> Value:
    """A tensor with more axes: behind the batch, as Keras' own layers do; of a stored one in front, as numpy does."""
    missing = rank - len(value.shape)
    if value.stored is not None:
        stored = value.stored.reshape((1,) * missing + value.stored.shape)
        return Value(stored.shape, stored=stored)
    if not missing:
        return value
    return builder.reshape(value, (value.shape[0], *[1] * missing, *value.shape[1:]))


def _broadcast(builder: Builder, one: Shape, other: Shape) -> Shape:
    made = []
    for first, second in zip(one, other, strict=True):
        if first not in (second, 1, None) and second not in (1, None):
            raise builder.error(f"joins the shapes {shown(one)} and {shown(other)}")
        known = [size for size in (first, second) if size not in (1, None)]
        made.append(known[0] if known else None if None in (first, second) else 1)
    return tuple(made)


def concatenate(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Concatenate along `axis`."""
    rank = len(inputs[0].shape)
    axis = layer.settings.integer("axis", -1)
    if not -rank <= axis < rank or axis % rank == 0 or any(len(value.shape) != rank for value in inputs):
        shapes = ", ".join(shown(value.shape) for value in inputs)
        raise builder.error(f"joins the shapes {shapes} along axis {axis}")
    axis %= rank
    order = builder.best_order(inputs, rank)
    shape = list(inputs[0].shape)
    for at in range(1, rank):
        sizes = [value.shape[at] for value in inputs]
        if at == axis:
            shape[at] = None if None in sizes else sum(size for size in sizes if size is not None)
        elif len({size for size in sizes if size is not None}) > 1:
            raise builder.error(f"joins sizes of {sizes} along another axis")
    if len(inputs) == 1:
        return inputs[0]
    name = builder.emit("Concat", [builder.get(value, order) for value in inputs], axis=order.index(axis))
    return builder.put(name, tuple(shape), order)
