"""Layers that put the same numbers elsewhere: shapes, axes, borders."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeproof.formats.keras.graph import Builder, Shape, Value, int_, shown
from edgeproof.formats.keras.layers.window import picture_of
from edgeproof.formats.keras.network import Layer


def same(_builder: Builder, _layer: Layer, inputs: Sequence[Value]) -> Value:
    """Layers that do something in training only."""
    (value,) = inputs
    return value


def flatten(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Flatten; a picture with its channels first is laid down with its channels last."""
    (value,) = inputs
    rank = len(value.shape)
    known = ("channels_last", "channels_first")
    if layer.settings.text("data_format", "channels_last", known) == "channels_first" and rank > 2:
        turned = (0, *range(2, rank), 1)
        name = builder.get(value, turned)
        value = builder.put(name, tuple(value.shape[axis] for axis in turned))
    inner = value.shape[1:]
    size = None if None in inner else math.prod(map(int_, inner))
    return builder.reshape(value, (value.shape[0], size))


def reshape(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Reshape to `target_shape`, which leaves the batch out; -1 once for what is left."""
    (value,) = inputs
    wanted = layer.settings.integers("target_shape", low=-1)
    inner = value.shape[1:]
    sizes: list[int | None] = list(wanted)
    if -1 in wanted:
        place, others = wanted.index(-1), math.prod(size for size in wanted if size != -1)
        total = None if None in inner else math.prod(map(int_, inner))
        sizes[place] = None if total is None or others < 1 else total // others
    if any(size is not None and size < 1 for size in sizes):
        raise builder.error(f"makes {shown(value.shape)} into {wanted}")
    return builder.reshape(value, (value.shape[0], *sizes))


def permute(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Permute: `dims` count from 1, the batch left out. No node: the value that is there stands in another order."""
    (value,) = inputs
    rank = len(value.shape)
    turned = [0, *layer.settings.integers("dims", low=1)]
    if sorted(turned) != list(range(rank)):
        raise builder.error(f"turns the axes of {shown(value.shape)} by {turned[1:]}")
    order = builder.best_order([value], rank)
    renamed = tuple(turned.index(axis) for axis in order)
    return builder.put(builder.get(value, order), tuple(value.shape[axis] for axis in turned), renamed)


def zero_padding(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """ZeroPadding."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    borders = layer.settings.borders("padding", len(picture.spatial))
    ends = [0, 0, *(end for _, end in borders)]
    name = builder.one(
        "Pad",
        builder.get(value, picture.order),
        builder.integers([0, 0, *(begin for begin, _ in borders), *ends]),
    )
    sizes = [
        None if size is None else size + sum(pair)
        for size, pair in zip(picture.sizes(value), borders, strict=True)
    ]
    return builder.put(name, picture.shape(value, sizes, value.shape[picture.channels]), picture.order)


def cropping(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Cropping."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    count = len(picture.spatial)
    borders = layer.settings.borders("cropping", count)
    sizes = [
        None if size is None else size - sum(pair)
        for size, pair in zip(picture.sizes(value), borders, strict=True)
    ]
    name = builder.one(
        "Slice",
        builder.get(value, picture.order),
        builder.integers([begin for begin, _ in borders]),
        builder.integers([-end if end else 2**31 - 1 for _, end in borders]),
        builder.integers(range(2, 2 + count)),
    )
    shape: Shape = picture.shape(value, sizes, value.shape[picture.channels])
    return builder.put(name, shape, picture.order)
