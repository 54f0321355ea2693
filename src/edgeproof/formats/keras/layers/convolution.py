"""Convolutions and the dense layer: what has kernels."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.core.tensor import Array
from edgeproof.formats.keras.graph import Builder, Value
from edgeproof.formats.keras.layers.activation import activated
from edgeproof.formats.keras.layers.window import Picture, picture_of, window
from edgeproof.formats.keras.network import Layer


def convolution(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Conv1D, Conv2D, Conv3D: kernel (..., channels / groups, filters)."""
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    settings, count = layer.settings, len(picture.spatial)
    groups = settings.integer("groups", 1, low=1)
    channels, filters = _channels(builder, value, picture), settings.integer("filters", 0, low=1)
    if channels % groups or filters % groups:
        raise builder.error(f"has {groups} groups of {channels} channels and {filters} filters")
    kernel = settings.sizes("kernel_size", count, 0)
    weights = builder.own("kernel", [*kernel, channels // groups, filters])
    weights = weights.transpose(count + 1, count, *range(count))
    return activated(builder, layer, _convolve(builder, layer, value, "kernel", weights, groups))


def depthwise(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """DepthwiseConv2D: kernel (..., channels, multiplier)."""
    (value,) = inputs
    return activated(builder, layer, _depthwise(builder, layer, value))


def separable(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """SeparableConv2D: a depthwise convolution and one of 1 x 1, with nothing between."""
    (value,) = inputs
    between = _depthwise(builder, layer, value)
    picture = picture_of(builder, layer, between)
    count = len(picture.spatial)
    filters = layer.settings.integer("filters", 0, low=1)
    weights = builder.own(
        "pointwise_kernel", [*[1] * count, _channels(builder, between, picture), filters]
    ).transpose(count + 1, count, *range(count))
    name = builder.one(
        "Conv",
        builder.get(between, picture.order),
        builder.parameter("pointwise_kernel", weights),
        *_bias(builder, layer, filters),
        kernel_shape=[1] * count,
    )
    made = builder.put(name, picture.shape(between, picture.sizes(between), filters), picture.order)
    return activated(builder, layer, made)


def transposed(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Conv2DTranspose: kernel (..., filters, channels); the gradient of a convolution of its padding.

    Source of the sizes: keras.io/api/layers/convolution_layers/convolution2d_transpose; with no `output_padding` the
    result is stride times as large, or as large as the kernel makes it for "valid".
    """
    (value,) = inputs
    picture = picture_of(builder, layer, value)
    settings, count = layer.settings, len(picture.spatial)
    kernel = settings.sizes("kernel_size", count, 0)
    strides = settings.sizes("strides", count)
    dilations = settings.sizes("dilation_rate", count)
    filters = settings.integer("filters", 0, low=1)
    same = settings.text("padding", "valid", ("valid", "same")) == "same"
    given = (
        settings.sizes("output_padding", count, low=0) if settings.has("output_padding") else [None] * count
    )
    begins, ends, extra, sizes = [], [], [], []
    for size, width, step, dilation, more in zip(
        picture.sizes(value), kernel, strides, dilations, given, strict=True
    ):
        reach = (width - 1) * dilation + 1
        # How far the result goes beyond (size - 1) * stride.
        if more is None:
            over = step if same else max(reach, step)
        else:
            over = reach - 2 * (reach // 2) + more if same else reach + more
        begin = max(reach - over, 0) // 2 if same else 0
        end = reach - over - begin
        begins.append(begin)
        ends.append(max(end, 0))
        extra.append(max(-end, 0))
        sizes.append(None if size is None else (size - 1) * step + over)
    weights = builder.own("kernel", [*kernel, filters, _channels(builder, value, picture)])
    name = builder.one(
        "ConvTranspose",
        builder.get(value, picture.order),
        builder.parameter("kernel", weights.transpose(count + 1, count, *range(count))),
        *_bias(builder, layer, filters),
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=begins + ends,
        output_padding=extra,
    )
    made = builder.put(name, picture.shape(value, sizes, filters), picture.order)
    return activated(builder, layer, made)


def dense(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Dense: kernel (width, units), along the last axis."""
    (value,) = inputs
    units = layer.settings.integer("units", 0, low=1)
    if len(value.shape) < 2 or value.shape[-1] is None:
        raise builder.error(f"takes the shape {value.shape}, whose last size isn't known")
    weights = builder.parameter("kernel", builder.own("kernel", [value.shape[-1], units]))
    bias = _bias(builder, layer, units)
    shape = (*value.shape[:-1], units)
    if len(shape) == 2:
        name = builder.one("Gemm", builder.get(value), weights, *bias)
    else:
        name = builder.one("MatMul", builder.get(value), weights)
        name = builder.one("Add", name, *bias) if bias else name
    return activated(builder, layer, builder.put(name, shape))


def _channels(builder: Builder, value: Value, picture: Picture) -> int:
    channels = value.shape[picture.channels]
    if channels is None:
        raise builder.error("takes a picture whose number of channels isn't known")
    return channels


def _bias(builder: Builder, layer: Layer, filters: int) -> list[str]:
    if not layer.settings.flag("use_bias", True):
        return []
    return [builder.parameter("bias", builder.own("bias", [filters]))]


def _depthwise(builder: Builder, layer: Layer, value: Value) -> Value:
    picture = picture_of(builder, layer, value)
    count, channels = len(picture.spatial), _channels(builder, value, picture)
    kernel = layer.settings.sizes("kernel_size", count, 0)
    multiplier = layer.settings.integer("depth_multiplier", 1, low=1)
    weights = builder.own("depthwise_kernel", [*kernel, channels, multiplier])
    weights = weights.transpose(count, count + 1, *range(count)).reshape(channels * multiplier, 1, *kernel)
    return _convolve(builder, layer, value, "depthwise_kernel", weights, channels)


def _convolve(builder: Builder, layer: Layer, value: Value, slot: str, weights: Array, groups: int) -> Value:
    """A convolution with weights (filters, channels / groups, ...); with the bias, but for a separable one."""
    picture = picture_of(builder, layer, value)
    settings, count, filters = layer.settings, len(picture.spatial), len(weights)
    area = window(
        builder,
        layer,
        picture.sizes(value),
        list(weights.shape[2:]),
        settings.sizes("strides", count),
        settings.sizes("dilation_rate", count),
    )
    bias = [] if layer.kind.startswith("Separable") else _bias(builder, layer, filters)
    name = builder.one(
        "Conv",
        builder.get(value, picture.order),
        builder.parameter(slot, weights),
        *bias,
        kernel_shape=area.kernel,
        strides=area.strides,
        dilations=area.dilations,
        group=groups,
        **area.padding,
    )
    return builder.put(name, picture.shape(value, area.sizes, filters), picture.order)
