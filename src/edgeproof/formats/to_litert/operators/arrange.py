"""Operators that put the same numbers elsewhere: shapes, axes, joining, padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Option
from edgeproof.formats.to_litert.layout import Order, identity, in_line, permuted, reshaped, without


def reshape(builder: Builder, node: Any) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: to the shape that ONNX finds for the output."""
    source, end = node.input[0], node.output[0]
    known = builder.known(source)
    if known is not None:
        if known.quantisation is not None and known.quantisation.scale.size > 1:
            known = Known(known.real())
        builder.keep(end, Known(known.value.reshape(builder.shape(end)), known.quantisation))
        return
    before, after = builder.sizes(source), builder.sizes(end)
    for order in builder.orders(source):
        made = reshaped(order, before, after)
        if made is not None:
            break
    else:
        order = next(
            (each for each in builder.orders(source) if in_line(before, each)), identity(len(before))
        )
        made = identity(len(after))
    image = builder.take(source, order)
    if permuted(before, order) == permuted(after, made):
        builder.put(end, image, made)
        return
    batch = builder.single_batch_axis(end, made)
    shape = permuted(builder.shape(end), made)
    target = [-1 if place == batch else size for place, size in enumerate(shape)]
    builder.make(
        end, "RESHAPE", [image, builder.numbers(target)], made, quantisation=quantisation_of(builder, image)
    )


def quantisation_of(builder: Builder, number: int) -> Any:
    """That of a tensor which is handed on unchanged."""
    return builder.graph.tensors[number].quantisation


def transpose(builder: Builder, node: Any) -> None:
    """Transpose: no operator; what is there is the output in another order."""
    rank = builder.rank(node.input[0])
    turn = tuple(attribute(node, "perm", list(range(rank))[::-1]))
    builder.alias(node.output[0], node.input[0], turn)


def concat(builder: Builder, node: Any) -> None:
    """Concat; in int8 all parts take the output's scale first."""
    end = node.output[0]
    rank = builder.rank(end)
    order = builder.best_order(node.input, rank)
    parts = [builder.take(name, order) for name in node.input if np.prod(builder.shape(name)) > 0]
    if builder.integer:
        wanted = builder.quantised[builder.integer[end]]
        if any(builder.graph.tensors[part].quantisation is None for part in parts):
            raise Refused("it joins quantised tensors with one that isn't")
        parts = [builder.requantised(part, wanted) for part in parts]
    axis = order.index(attribute(node, "axis") % rank)
    builder.make(end, "CONCATENATION", parts, order, {0: ("i", axis), 1: ("b", 0)})


def split(builder: Builder, node: Any) -> None:
    """Split: SPLIT into equal parts, else SPLIT_V."""
    source = node.input[0]
    rank = builder.rank(source)
    axis = attribute(node, "axis", 0) % rank
    order = builder.best_order([source], rank)
    image, place = builder.take(source, order), order.index(axis)
    sizes = [builder.shape(name)[axis] for name in node.output]
    quantisation = quantisation_of(builder, image)
    made = [builder.begin(name, order, quantisation=quantisation) for name in node.output]
    # A kernel counts its outputs; all of one size, or each with its own.
    options: dict[int, Option] = {0: ("i", len(sizes))}
    if len(set(sizes)) == 1:
        builder.write("SPLIT", [builder.store(Known(np.asarray(place, np.int32))), image], made, options)
    else:
        axis_number = builder.store(Known(np.asarray(place, np.int32)))
        builder.write("SPLIT_V", [image, builder.numbers(sizes), axis_number], made, options)
    for name, number in zip(node.output, made, strict=True):
        builder.put(name, number, order)


def slices(builder: Builder, node: Any) -> None:
    """Slice: STRIDED_SLICE, whose masks leave whole axes as long as they are."""
    source, end = node.input[0], node.output[0]
    shape = builder.shape(source)
    rank = len(shape)
    begins, ends = (builder.constant(node.input[place], "ranges").tolist() for place in (1, 2))
    axes = list(range(len(begins)))
    steps = [1] * len(begins)
    if len(node.input) > 3 and node.input[3]:
        axes = [axis % rank for axis in builder.constant(node.input[3], "axes").tolist()]
    if len(node.input) > 4 and node.input[4]:
        steps = builder.constant(node.input[4], "steps").tolist()
    order = builder.best_order([source], rank)
    first, last, step = [0] * rank, [0] * rank, [1] * rank
    open_begin = open_end = (1 << rank) - 1
    for axis, begin, stop, stride in zip(axes, begins, ends, steps, strict=True):
        place = order.index(axis)
        given = slice(int(begin), int(stop), int(stride)).indices(shape[axis])
        whole = (0, shape[axis], 1)
        free = axis in builder.varying.get(source, ())
        if free and (given != whole or axis not in builder.varying.get(end, ())):
            builder.fix_batch("a Slice takes a part of it")
        if given == whole:
            continue
        first[place], last[place], step[place] = given
        open_begin &= ~(1 << place)
        if given[1] >= 0:
            open_end &= ~(1 << place)
    image = builder.take(source, order)
    if all(size == 1 for size in step) and open_end == open_begin == (1 << rank) - 1:
        builder.alias(end, source)
        return
    options: dict[int, Option] = {
        0: ("i", open_begin),
        1: ("i", open_end),
        **dict.fromkeys((2, 3, 4), ("i", 0)),
    }
    inputs = [image, builder.numbers(first), builder.numbers(last), builder.numbers(step)]
    quantisation = quantisation_of(builder, image)
    builder.make(end, "STRIDED_SLICE", inputs, order, options, quantisation=quantisation)


def pad(builder: Builder, node: Any) -> None:
    """Pad: PAD with zeros, PADV2 with a value, MIRROR_PAD; negative pads are cut off."""
    source, end = node.input[0], node.output[0]
    shape = builder.shape(source)
    rank = len(shape)
    pads = [int(size) for size in builder.constant(node.input[1], "pads").ravel()]
    axes = list(range(rank))
    if len(node.input) > 3 and node.input[3]:
        axes = [int(axis) % rank for axis in builder.constant(node.input[3], "axes")]
    around = {axis: (pads[place], pads[place + len(axes)]) for place, axis in enumerate(axes)}
    if min(pads, default=0) < 0:
        raise Refused("it cuts off (pads below 0)")
    value: Any = 0.0
    if len(node.input) > 2 and node.input[2]:
        value = builder.constant(node.input[2], "value").reshape(())
    order = builder.best_order([source], rank)
    amounts = np.asarray([around.get(axis, (0, 0)) for axis in order], np.int32)
    image = builder.take(source, order)
    if not amounts.any():
        builder.alias(end, source)
        return
    tensor = builder.graph.tensors[image]
    inputs = [image, builder.store(Known(amounts), "pads")]
    mode = attribute(node, "mode", "constant")
    quantisation = tensor.quantisation
    if mode == "reflect":
        builder.make(end, "MIRROR_PAD", inputs, order, {0: ("b", 0)}, quantisation=quantisation)
    elif mode != "constant":
        raise Refused(f"it pads in the mode {mode}; only constant and reflect can be said")
    elif value == 0:
        builder.make(end, "PAD", inputs, order, quantisation=quantisation)
    else:
        if quantisation is not None:
            steps = np.rint(float(value) / float(quantisation.scale[0])) + int(quantisation.zero[0])
            stored = Known(np.asarray([np.clip(steps, -128, 127)], np.int8), quantisation)
        else:
            stored = Known(np.asarray([value], tensor.dtype))
        builder.make(end, "PADV2", [*inputs, builder.store(stored)], order, quantisation=quantisation)


def gather(builder: Builder, node: Any) -> None:
    """Gather of stored places."""
    source, end = node.input[0], node.output[0]
    rank = builder.rank(source)
    axis = attribute(node, "axis", 0) % rank
    stored = builder.known(node.input[1])
    if stored is None:
        places = builder.take(node.input[1])
        many = builder.rank(node.input[1])
    else:
        value = stored.value.astype(np.int64)
        value = np.where(value < 0, value + builder.shape(source)[axis], value)
        places, many = builder.store(Known(value.astype(np.int32))), value.ndim
    if axis in builder.varying.get(source, ()):
        builder.fix_batch("a Gather takes a part of it")
    order = builder.best_order([source], rank)
    if stored is not None and many == 0:
        _pick(builder, node, order, axis, int(value))
        return
    if many > 1:
        order = identity(rank)
    made: list[int] = []
    for each in order:
        if each == axis:
            made.extend(range(axis, axis + many))
        else:
            made.append(each if each < axis else each + many - 1)
    options: dict[int, Option] = {0: ("i", order.index(axis)), 1: ("i", 0)}
    builder.make(end, "GATHER", [builder.take(source, order), places], tuple(made), options)


def _pick(builder: Builder, node: Any, order: Order, axis: int, index: int) -> None:
    """One place of an axis, which goes away: a slice and a new shape, which more delegates take than GATHER."""
    source, end = node.input[0], node.output[0]
    image, place = builder.take(source, order), order.index(axis)
    begins, ends, steps = ([0] * len(order), [0] * len(order), [1] * len(order))
    begins[place], ends[place] = index, index + 1
    others = ((1 << len(order)) - 1) & ~(1 << place)
    options: dict[int, Option] = {0: ("i", others), 1: ("i", others), **dict.fromkeys((2, 3, 4), ("i", 0))}
    inputs = [image, *(builder.numbers(each) for each in (begins, ends, steps))]
    shape = list(builder.graph.tensors[image].shape)
    shape[place] = 1
    number = builder.step("STRIDED_SLICE", inputs, shape, image, options)
    made = without(order, {axis})
    batch = builder.single_batch_axis(end, made)
    shape = list(permuted(builder.shape(end), made))
    target = [-1 if where == batch else size for where, size in enumerate(shape)]
    builder.make(end, "RESHAPE", [number, builder.numbers(target)], made)


def expand(builder: Builder, node: Any) -> None:
    """Expand: BROADCAST_TO."""
    end = node.output[0]
    if builder.varying.get(end):
        builder.fix_batch("an Expand has its output's shape stored")
    rank = builder.rank(end)
    order = builder.best_order(node.input[:1], rank)
    image = builder.operand(node.input[0], order)
    shape = builder.numbers(permuted(builder.shape(end), order))
    builder.make(end, "BROADCAST_TO", [image, shape], order)


def tile(builder: Builder, node: Any) -> None:
    """Tile."""
    rank = builder.rank(node.input[0])
    order = builder.best_order(node.input[:1], rank)
    times = builder.constant(node.input[1], "repeats").tolist()
    inputs = [builder.take(node.input[0], order), builder.numbers(permuted(times, order))]
    builder.make(node.output[0], "TILE", inputs, order)


def top_k(builder: Builder, node: Any) -> None:
    """TopK of the largest, sorted; the places become int64 as ONNX has them."""
    source = node.input[0]
    rank = builder.rank(source)
    if not attribute(node, "largest", 1):
        raise Refused("it looks for the smallest")
    order = builder.order_with_last(source, attribute(node, "axis", -1) % rank)
    count = int(builder.constant(node.input[1], "k").reshape(()))
    image = builder.take(source, order)
    values, places = node.output[0], node.output[1] if len(node.output) > 1 else ""
    made = builder.begin(values, order)
    shape = builder.graph.tensors[made].shape
    k = builder.store(Known(np.asarray(count, np.int32)))
    builder.write("TOPK_V2", [image, k], [made, builder.spare(f"{values}/places", shape, "int32")])
    builder.put(values, made, order)
    if places:
        codes: dict[int, Option] = {0: ("b", 2), 1: ("b", 4)}  # INT32 to INT64
        builder.make(places, "CAST", [builder.graph.operators[-1].outputs[1]], order, codes)
