"""Pooling, and sums and means over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Option
from edgeproof.formats.to_litert.layout import NHWC, permuted, without
from edgeproof.formats.to_litert.operators.arrange import quantisation_of
from edgeproof.formats.to_litert.operators.window import SAME, VALID, Window, padded, window_of

REDUCTIONS = {
    "ReduceMean": "MEAN",
    "ReduceSum": "SUM",
    "ReduceMax": "REDUCE_MAX",
    "ReduceMin": "REDUCE_MIN",
    "ReduceProd": "REDUCE_PROD",
}
NORMS = ("ReduceL1", "ReduceL2", "ReduceSumSquare")


def max_pool(builder: Builder, node: Any) -> None:
    """MaxPool: what lies in the padding never wins."""
    if len(node.output) > 1 and node.output[1]:
        raise Refused("it also gives the places of the largest values")
    source = node.input[0]
    sizes = builder.shape(source)[2:]
    window = _pool_window(builder, node, sizes)
    image, padding = builder.take(source, NHWC), window.padding(sizes)
    if padding is None:
        image, padding = padded(builder, image, window, lowest=True), VALID
    quantisation = quantisation_of(builder, image)
    options = _options(window, padding)
    builder.make(node.output[0], "MAX_POOL_2D", [image], NHWC, options, quantisation=quantisation)


def average_pool(builder: Builder, node: Any) -> None:
    """AveragePool: TFLite never counts the padding; where ONNX counts otherwise, each mean is put right."""
    source, end = node.input[0], node.output[0]
    sizes, output = builder.shape(source)[2:], builder.shape(end)[2:]
    window = _pool_window(builder, node, sizes)
    counted = bool(attribute(node, "count_include_pad", 0))
    image, padding = builder.take(source, NHWC), window.padding(sizes)
    if padding == VALID or (padding == SAME and not counted):
        quantisation = quantisation_of(builder, image)
        options = _options(window, padding)
        builder.make(end, "AVERAGE_POOL_2D", [image], NHWC, options, quantisation=quantisation)
        return
    image = padded(builder, image, window)
    whole = float(window.kernel[0] * window.kernel[1])
    counts = np.multiply.outer(*(_counts(axis, window, sizes, output, padding=counted) for axis in (0, 1)))
    options = _options(window, VALID)
    if (counts == whole).all():
        builder.make(end, "AVERAGE_POOL_2D", [image], NHWC, options)
        return
    number = builder.step("AVERAGE_POOL_2D", [image], permuted(builder.shape(end), NHWC), image, options)
    factors = (whole / counts).astype(np.float32)[None, :, :, None]
    builder.make(end, "MUL", [number, builder.store(Known(factors), "counts")], NHWC)


def _counts(axis: int, window: Window, sizes: Any, output: Any, *, padding: bool) -> Array:
    """How many places of the input, and of its padding, each window covers."""
    first = np.arange(output[axis]) * window.strides[axis] - window.begins[axis]
    low = -window.begins[axis] if padding else 0
    high = sizes[axis] + (window.ends[axis] if padding else 0)
    return np.asarray(np.minimum(first + window.kernel[axis], high) - np.maximum(first, low), np.float64)


def _pool_window(builder: Builder, node: Any, sizes: tuple[int, ...]) -> Window:
    window = window_of(builder, node, attribute(node, "kernel_shape"), sizes)
    if window.dilations != (1, 1):
        raise Refused("its window is dilated")
    return window


def _options(window: Window, padding: int) -> dict[int, Option]:
    return {
        0: ("b", padding),
        1: ("i", window.strides[1]),
        2: ("i", window.strides[0]),
        3: ("i", window.kernel[1]),
        4: ("i", window.kernel[0]),
        5: ("b", 0),
    }


def global_pool(builder: Builder, node: Any) -> None:
    """GlobalAveragePool and GlobalMaxPool."""
    rank = builder.rank(node.input[0])
    kind = "MEAN" if node.op_type == "GlobalAveragePool" else "REDUCE_MAX"
    _reduce(builder, node, kind, list(range(2, rank)), keep=True)


def reduce(builder: Builder, node: Any) -> None:
    """ReduceMean and its like: the axes are an attribute, or the second input in later opsets."""
    axes, keep = _axes(builder, node)
    if not axes:
        builder.alias(node.output[0], node.input[0])
    else:
        _reduce(builder, node, REDUCTIONS[node.op_type], axes, keep=keep)


def norm(builder: Builder, node: Any) -> None:
    """ReduceL1, ReduceL2 and ReduceSumSquare, in their parts."""
    axes, keep = _axes(builder, node)
    order = builder.best_order(node.input[:1], builder.rank(node.input[0]))
    image = builder.take(node.input[0], order)
    shape = builder.graph.tensors[image].shape
    if node.op_type == "ReduceL1":
        number = builder.step("ABS", [image], shape, image)
    else:
        number = builder.step("MUL", [image, image], shape, image)
    left = order if keep else without(order, set(axes))
    inputs = [number, builder.numbers(sorted(order.index(axis) for axis in axes))]
    options: dict[int, Option] = {0: ("b", int(keep))}
    end = node.output[0]
    if node.op_type == "ReduceL2":
        number = builder.step("SUM", inputs, permuted(builder.shape(end), left), image, options)
        builder.make(end, "SQRT", [number], left)
    else:
        builder.make(end, "SUM", inputs, left, options)


def _axes(builder: Builder, node: Any) -> tuple[list[int], bool]:
    rank = builder.rank(node.input[0])
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        axes = builder.constant(node.input[1], "axes").tolist()
    keep = bool(attribute(node, "keepdims", 1))
    if not axes:
        empty = bool(attribute(node, "noop_with_empty_axes", 0))
        return [] if empty else list(range(rank)), keep
    return sorted({axis % rank for axis in axes}), keep


def _reduce(builder: Builder, node: Any, kind: str, axes: list[int], *, keep: bool) -> None:
    order = builder.best_order(node.input[:1], builder.rank(node.input[0]))
    places = sorted(order.index(axis) for axis in axes)
    inputs = [builder.take(node.input[0], order), builder.numbers(places)]
    left = order if keep else without(order, set(axes))
    builder.make(node.output[0], kind, inputs, left, {0: ("b", int(keep))})


def arg_max(builder: Builder, node: Any) -> None:
    """ArgMax and ArgMin, of the first of equals."""
    if attribute(node, "select_last_index", 0):
        raise Refused("it wants the last of equal values")
    source, end = node.input[0], node.output[0]
    rank = builder.rank(source)
    axis = attribute(node, "axis", 0) % rank
    order = builder.best_order([source], rank)
    kind = "ARG_MAX" if node.op_type == "ArgMax" else "ARG_MIN"
    inputs = [builder.take(source, order), builder.numbers([order.index(axis)])]
    options: dict[int, Option] = {0: ("b", 4)}  # TensorType INT64
    if not attribute(node, "keepdims", 1):
        builder.make(end, kind, inputs, without(order, {axis}), options)
        return
    kept = [place for place in order if place != axis]
    sizes = [builder.shape(end)[place] for place in kept]
    number = builder.step(kind, inputs, sizes, inputs[0], options, dtype="int64")
    batch = builder.single_batch_axis(end, order)
    shape = permuted(builder.shape(end), order)
    target = [-1 if place == batch else size for place, size in enumerate(shape)]
    builder.make(end, "RESHAPE", [number, builder.numbers(target)], order)
