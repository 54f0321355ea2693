"""Pooling over windows, and over whole pictures."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.formats.keras.graph import Builder, Value
from edgeproof.formats.keras.layers.window import picture_of, window
from edgeproof.formats.keras.network import Layer


def pool(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """MaxPooling and AveragePooling; an average counts no padding."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    count, settings = len(picture.spatial), layer.settings
    kernel = settings.sizes("pool_size", count, 2)
    strides = settings.sizes("strides", count, kernel)
    area = window(builder, layer, picture.sizes(value), kernel, strides, [1] * count)
    largest = layer.kind.startswith("Max")
    source = builder.get(value, picture.order)
    name = builder.one(
        "MaxPool" if largest else "AveragePool",
        source,
        kernel_shape=area.kernel,
        strides=area.strides,
        **area.padding,
    )
    channels = value.shape[picture.channels]
    return builder.put(name, picture.shape(value, area.sizes, channels), picture.order)


def global_pool(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """GlobalMaxPooling and GlobalAveragePooling, with or without `keepdims`."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    count = len(picture.spatial)
    kind = "GlobalMaxPool" if "Max" in layer.kind else "GlobalAveragePool"
    name = builder.one(kind, builder.get(value, picture.order))
    channels = value.shape[picture.channels]
    if layer.settings.flag("keepdims", False):
        return builder.put(name, picture.shape(value, [1] * count, channels), picture.order)
    name = builder.one("Squeeze", name, builder.integers(range(2, 2 + count)))
    return builder.put(name, (value.shape[0], channels))
