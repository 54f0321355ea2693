"""Pooling, and sums and means over axes."""

from __future__ import annotations

from edgeproof.formats.tflite.builder import NCHW, Builder
from edgeproof.formats.tflite.operators.arrange import axis_of
from edgeproof.formats.tflite.operators.window import same_padding
from edgeproof.formats.tflite.schema import Operator

REDUCTIONS = {
    "MEAN": "ReduceMean",
    "SUM": "ReduceSum",
    "REDUCE_MAX": "ReduceMax",
    "REDUCE_MIN": "ReduceMin",
    "REDUCE_PROD": "ReduceProd",
}


def pool(builder: Builder, operator: Operator) -> None:
    """MAX_POOL_2D and AVERAGE_POOL_2D (Pool2DOptions); an average counts no padding."""
    kernel = [operator.integer(4), operator.integer(3)]
    strides = [operator.integer(2), operator.integer(1)]
    sizes = builder.shape(operator.inputs[0])[1:3]
    pads = same_padding(builder, operator.small(0), sizes, kernel, strides, [1, 1])
    source = builder.real(operator.inputs[0], NCHW)
    if operator.kind == "AVERAGE_POOL_2D" and kernel == list(sizes) and not any(pads):
        value = builder.one("GlobalAveragePool", source)
    else:
        kind = "MaxPool" if operator.kind == "MAX_POOL_2D" else "AveragePool"
        value = builder.one(kind, source, kernel_shape=kernel, strides=strides, pads=pads)
    builder.put_activated(operator.outputs[0], value, operator.small(5), NCHW)


def reduce(builder: Builder, operator: Operator) -> None:
    """MEAN and its like (ReducerOptions): the axes are the second input."""
    source = operator.inputs[0]
    rank = len(builder.shape(source))
    axes = sorted({axis_of(builder, axis, rank) for axis in builder.integers(operator.inputs[1])})
    keep = bool(operator.small(0))
    order = builder.best_order([source], rank)
    picture = operator.kind == "MEAN" and rank == 4 and axes == [1, 2]
    if picture:
        order = NCHW
    value = builder.real(source, order)
    places = sorted(order.index(axis) for axis in axes)
    if picture:  # runtimes have a fast, quantised kernel for this form
        value = builder.one("GlobalAveragePool", value)
        value = value if keep else builder.one("Squeeze", value, builder.numbers(places))
    elif operator.kind == "SUM":  # its axes are an input since opset 13, those of the others since 18
        value = builder.one("ReduceSum", value, builder.numbers(places), keepdims=int(keep))
    else:
        value = builder.one(REDUCTIONS[operator.kind], value, axes=places, keepdims=int(keep))
    left = list(order) if keep else [axis for axis in order if axis not in axes]
    builder.put(operator.outputs[0], value, tuple(sorted(left).index(axis) for axis in left))
