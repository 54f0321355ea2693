"""Operators that put the same numbers elsewhere: shapes, axes, joining, padding."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.formats.tflite.builder import Builder, Order, identity
from edgeproof.formats.tflite.schema import Operator


def reshaped(builder: Builder, number: int, shape: tuple[int, ...]) -> str:
    """The real value of a tensor in another shape, in TFLite's order of numbers."""
    given = builder.shape(number)
    if math.prod(given) != math.prod(shape):
        raise builder.error(f"can't make the shape {list(given)} into {list(shape)}")
    if given == shape:
        return builder.real(number)
    return builder.one("Reshape", builder.real(number, _in_line(builder, number)), builder.numbers(shape))


def _in_line(builder: Builder, number: int) -> Order:
    """An order the tensor is there in, whose numbers follow each other as in TFLite's: axes of 1 don't count."""
    shape = builder.shape(number)
    for order in builder.orders(number):
        real = [axis for axis in order if shape[axis] != 1]
        if real == sorted(real):
            return order
    return identity(len(shape))


def reshape(builder: Builder, operator: Operator) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: to the shape that the file gives its output."""
    target = operator.outputs[0]
    builder.put(target, reshaped(builder, operator.inputs[0], builder.shape(target)))


def transpose(builder: Builder, operator: Operator) -> None:
    """TRANSPOSE: no node; the value that is there is the output in another order."""
    source, target = operator.inputs[0], operator.outputs[0]
    turned = builder.integers(operator.inputs[1])
    if sorted(turned) != list(range(len(builder.shape(source)))):
        raise builder.error(f"turns the axes of the shape {list(builder.shape(source))} by {turned}")
    order = builder.best_order([source], len(turned))
    renamed = tuple(turned.index(axis) for axis in order)
    before, after = builder.tensor(source), builder.tensor(target)
    same = np.array_equal(before.scale, after.scale) and np.array_equal(before.zero_point, after.zero_point)
    if before.kind == after.kind and same and before.scale.size <= 1:
        builder.put(target, builder.raw(source, order), renamed, raw=True)
    else:
        builder.put(target, builder.real(source, order), renamed)


def concatenate(builder: Builder, operator: Operator) -> None:
    """CONCATENATION (ConcatenationOptions)."""
    rank = len(builder.shape(operator.outputs[0]))
    order = builder.best_order(operator.inputs, rank)
    axis = axis_of(builder, operator.integer(0), rank)
    values = [builder.real(number, order) for number in operator.inputs]
    value = builder.one("Concat", *values, axis=order.index(axis))
    builder.put_activated(operator.outputs[0], value, operator.small(1), order)


def pack(builder: Builder, operator: Operator) -> None:
    """PACK (PackOptions): tensors of one shape along a new axis."""
    axis = axis_of(builder, operator.integer(1), len(builder.shape(operator.outputs[0])))
    values = [
        builder.one("Unsqueeze", builder.real(number), builder.numbers([axis])) for number in operator.inputs
    ]
    builder.put(operator.outputs[0], builder.one("Concat", *values, axis=axis))


def pad(builder: Builder, operator: Operator) -> None:
    """PAD with 0, PADV2 with a value."""
    source = operator.inputs[0]
    order, pads = _pads(builder, operator)
    extra = []
    if operator.kind == "PADV2":
        number = builder.tensor(operator.inputs[2])
        value = np.asarray(builder.constant(operator.inputs[2]), np.float32).reshape(())
        if number.quantised:
            value = ((value - number.zero_point[0]) * number.scale[0]).astype(np.float32)
        extra = [builder.weight(value.astype(_stored_dtype(builder, source)))]
    value_in = builder.real(source, order)
    builder.put(operator.outputs[0], builder.one("Pad", value_in, builder.numbers(pads), *extra), order)


def _stored_dtype(builder: Builder, number: int) -> np.dtype[np.generic]:
    tensor = builder.tensor(number)
    return np.dtype(np.float32) if tensor.quantised or tensor.kind == "FLOAT16" else tensor.dtype


def mirror_pad(builder: Builder, operator: Operator) -> None:
    """MIRROR_PAD (MirrorPadOptions): REFLECT leaves the edge out, SYMMETRIC repeats it."""
    order, pads = _pads(builder, operator)
    symmetric = operator.small(0) == 1
    if symmetric and max(pads, default=0) > 1:
        raise builder.error(
            "pads SYMMETRIC by more than 1, which ONNX can't say", "Use REFLECT padding, and convert again."
        )
    value = builder.one(
        "Pad",
        builder.real(operator.inputs[0], order),
        builder.numbers(pads),
        mode="edge" if symmetric else "reflect",
    )
    builder.put(operator.outputs[0], value, order)


def _pads(builder: Builder, operator: Operator) -> tuple[Order, list[int]]:
    source = operator.inputs[0]
    rank = len(builder.shape(source))
    amounts = builder.integers(operator.inputs[1])
    if len(amounts) != 2 * rank or min(amounts, default=0) < 0 or max(amounts, default=0) > 1 << 20:
        raise builder.error(f"pads the shape {list(builder.shape(source))} by {amounts}")
    order = builder.best_order([source], rank)
    return order, [amounts[2 * axis] for axis in order] + [amounts[2 * axis + 1] for axis in order]


def broadcast(builder: Builder, operator: Operator) -> None:
    """BROADCAST_TO: to the shape that the file gives its output."""
    source, target = operator.inputs[0], operator.outputs[0]
    shape = builder.shape(target)
    order = builder.best_order([source], len(shape))
    sizes = builder.numbers([shape[axis] for axis in order])
    builder.put(target, builder.one("Expand", builder.operand(source, order), sizes), order)


def tile(builder: Builder, operator: Operator) -> None:
    """TILE: each axis so many times."""
    source = operator.inputs[0]
    rank, times = len(builder.shape(source)), builder.integers(operator.inputs[1])
    if len(times) != rank or min(times, default=1) < 1:
        raise builder.error(f"repeats the shape {list(builder.shape(source))} by {times}")
    order = builder.best_order([source], rank)
    value = builder.one("Tile", builder.real(source, order), builder.numbers([times[axis] for axis in order]))
    builder.put(operator.outputs[0], value, order)


def axis_of(builder: Builder, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise builder.error(f"names axis {axis} of {rank}")
    return axis % rank
