"""Operators that take a part of a tensor."""

from __future__ import annotations

import numpy as np

from edgeproof.formats.tflite.builder import Builder, identity
from edgeproof.formats.tflite.operators.arrange import axis_of
from edgeproof.formats.tflite.schema import Operator

_BEFORE_THE_FIRST = -(2**31)


def strided_slice(builder: Builder, operator: Operator) -> None:
    """STRIDED_SLICE (StridedSliceOptions): numpy's slices, with masks for the ends that are left open."""
    shape = builder.shape(operator.inputs[0])
    begins, ends, steps = (builder.integers(number) for number in operator.inputs[1:4])
    open_begin, open_end, ellipsis, new_axis, shrink = (operator.integer(slot) for slot in range(5))
    if ellipsis or new_axis:
        raise builder.error(
            "uses an ellipsis or a new axis, which isn't read", "Write the slice out in full."
        )
    if not len(begins) == len(ends) == len(steps) <= len(shape) or 0 in steps:
        raise builder.error(f"cuts the shape {list(shape)} from {begins} to {ends} by {steps}")
    if operator.small(5):
        ends = [begin + length for begin, length in zip(begins, ends, strict=True)]
    parts = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        bit = 1 << axis
        if shrink & bit:
            first = begin % shape[axis]
            parts.append((axis, first, first + 1, 1))
            continue
        start, stop, step = slice(  # noqa: PLW2901  the same step, checked
            None if open_begin & bit else begin, None if open_end & bit else end, step
        ).indices(shape[axis])
        if (start, stop, step) != (0, shape[axis], 1):
            parts.append((axis, start, stop if stop >= 0 else _BEFORE_THE_FIRST, step))
    _cut(builder, operator, parts, [axis for axis in range(len(begins)) if shrink & (1 << axis)])


def plain_slice(builder: Builder, operator: Operator) -> None:
    """SLICE: begins and sizes; -1 is all that is left."""
    shape = builder.shape(operator.inputs[0])
    begins, sizes = (builder.integers(number) for number in operator.inputs[1:3])
    if not len(begins) == len(sizes) == len(shape) or min(begins, default=0) < 0:
        raise builder.error(f"cuts the shape {list(shape)} at {begins} by {sizes}")
    ends = [
        whole if size == -1 else begin + size for begin, size, whole in zip(begins, sizes, shape, strict=True)
    ]
    parts = [
        (axis, begin, end, 1)
        for axis, (begin, end) in enumerate(zip(begins, ends, strict=True))
        if (begin, end) != (0, shape[axis])
    ]
    _cut(builder, operator, parts, [])


def _cut(
    builder: Builder, operator: Operator, parts: list[tuple[int, int, int, int]], dropped: list[int]
) -> None:
    source = operator.inputs[0]
    order = builder.best_order([source], len(builder.shape(source)))
    value = builder.real(source, order)
    if parts:
        axes, begins, ends, steps = zip(*parts, strict=True)
        places = [order.index(axis) for axis in axes]
        value = builder.one(
            "Slice", value, *(builder.numbers(each) for each in (begins, ends, places, steps))
        )
    if dropped:
        value = builder.one("Squeeze", value, builder.numbers([order.index(axis) for axis in dropped]))
    left = [axis for axis in order if axis not in dropped]
    builder.put(operator.outputs[0], value, tuple(sorted(left).index(axis) for axis in left))


def split(builder: Builder, operator: Operator) -> None:
    """SPLIT into equal parts (axis, input), SPLIT_V into parts of given sizes (input, sizes, axis)."""
    given = operator.kind == "SPLIT_V"
    source, axis_number = (operator.inputs[0], operator.inputs[2]) if given else operator.inputs[1::-1]
    shape = builder.shape(source)
    axis = axis_of(builder, builder.integers(axis_number)[0], len(shape))
    count = len(operator.outputs)
    if given:
        sizes = builder.integers(operator.inputs[1])
        if -1 in sizes:
            sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    else:
        sizes = [shape[axis] // count] * count
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes) < 0:
        raise builder.error(f"cuts {shape[axis]} into {count} parts of {sizes}")
    order = builder.best_order([source], len(shape))
    values = builder.emit(
        "Split",
        [builder.real(source, order), builder.numbers(sizes)],
        count,
        axis=order.index(axis),
    )
    for number, value in zip(operator.outputs, values, strict=True):
        builder.put(number, value, order)


def gather(builder: Builder, operator: Operator) -> None:
    """GATHER (GatherOptions): the places along an axis, whose own axes take its place."""
    source, places = operator.inputs
    rank, many = len(builder.shape(source)), len(builder.shape(places))
    axis = axis_of(builder, operator.integer(0), rank)
    if operator.integer(1):
        raise builder.error(
            f"has {operator.integer(1)} axes in common with its places, which isn't read",
            "Write it with places that hold for the whole batch.",
        )
    order = builder.best_order([source], rank) if many == 1 else identity(rank)
    value = builder.one("Gather", builder.real(source, order), builder.raw(places), axis=order.index(axis))
    builder.put(operator.outputs[0], value, order if many == 1 else None)


def top_k(builder: Builder, operator: Operator) -> None:
    """TOPK_V2: the largest along the last axis, sorted, and their places."""
    source, (values, places) = operator.inputs[0], operator.outputs
    rank = len(builder.shape(source))
    order = builder.best_order([source], rank)
    found, where = builder.emit(
        "TopK",
        [builder.real(source, order), builder.numbers(builder.integers(operator.inputs[1])[:1])],
        2,
        axis=order.index(rank - 1),
    )
    builder.put(values, found, order)
    builder.put(places, _typed(builder, places, where), order)


def arg_max(builder: Builder, operator: Operator) -> None:
    """ARG_MAX and ARG_MIN: the place of the first of the largest; its axis goes away."""
    source, target = operator.inputs[0], operator.outputs[0]
    rank = len(builder.shape(source))
    axis = axis_of(builder, builder.integers(operator.inputs[1])[0], rank)
    order = builder.best_order([source], rank)
    kind = "ArgMax" if operator.kind == "ARG_MAX" else "ArgMin"
    where = builder.one(kind, builder.real(source, order), axis=order.index(axis), keepdims=0)
    left = [each for each in order if each != axis]
    order = tuple(sorted(left).index(each) for each in left)
    builder.put(target, _typed(builder, target, where), order)


def _typed(builder: Builder, number: int, places: str) -> str:
    """Places, which ONNX has as int64, in the type that a tensor has."""
    from onnx import helper

    dtype = builder.tensor(number).dtype
    if dtype == np.int64:
        return places
    return builder.one("Cast", places, to=helper.np_dtype_to_tensor_dtype(dtype))
