"""Convolutions and the fully connected layer: what has weights."""

from __future__ import annotations

import numpy as np

from edgeproof.formats.tflite.builder import NCHW, Builder, identity
from edgeproof.formats.tflite.operators.arrange import reshaped
from edgeproof.formats.tflite.operators.window import SAME, VALID, same_padding
from edgeproof.formats.tflite.schema import Operator


def convolution(builder: Builder, operator: Operator) -> None:
    """CONV_2D (Conv2DOptions); filter OHWI, a group for each time that its I goes into the input's channels."""
    filter_channels = builder.shape(operator.inputs[1])[3]
    channels = builder.shape(operator.inputs[0])[3]
    if filter_channels < 1 or channels % filter_channels:
        raise builder.error(f"has {channels} input channels for a filter of {filter_channels}")
    _convolve(builder, operator, (0, 3, 1, 2), (1, 2), channels // filter_channels, (3, 4, 5))


def depthwise(builder: Builder, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D (DepthwiseConv2DOptions); filter 1 x H x W x (channels * multiplier)."""
    channels = builder.shape(operator.inputs[0])[3]
    _convolve(builder, operator, (3, 0, 1, 2), (1, 2), channels, (4, 5, 6))


def _convolve(
    builder: Builder,
    operator: Operator,
    filter_order: tuple[int, ...],
    filter_axes: tuple[int, int],
    groups: int,
    slots: tuple[int, int, int],
) -> None:
    image, weights = operator.inputs[:2]
    activation, dilation_w, dilation_h = slots
    strides = [operator.integer(2), operator.integer(1)]
    dilations = [operator.integer(dilation_h, 1), operator.integer(dilation_w, 1)]
    kernel = [builder.shape(weights)[axis] for axis in filter_axes]
    sizes = builder.shape(image)[1:3]
    pads = same_padding(builder, operator.small(0), sizes, kernel, strides, dilations)
    value = builder.one(
        "Conv",
        builder.real(image, NCHW),
        builder.real(weights, filter_order),
        *_bias(builder, operator, image, weights),
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=groups,
    )
    builder.put_activated(operator.outputs[0], value, operator.small(activation), NCHW)


def _bias(builder: Builder, operator: Operator, image: int, weights: int, place: int = 2) -> list[str]:
    if len(operator.inputs) <= place or operator.inputs[place] < 0:
        return []
    bias = builder.tensor(operator.inputs[place])
    if bias.kind != "INT32":
        return [builder.real(operator.inputs[place])]
    # Quantisation specification (tensorflow.org/lite/performance/quantization_spec): the scale of a bias is the
    # product of the others, its zero point 0.
    source, filters = builder.tensor(image), builder.tensor(weights)
    if not source.quantised or not filters.quantised or source.scale.size != 1:
        raise builder.error("has a quantised bias, but its input or its weights are not quantised")
    scale = (source.scale[0] * filters.scale).astype(np.float32)
    values = np.asarray(builder.constant(operator.inputs[place]))
    if values.ndim != 1 or scale.size not in (1, values.size):
        raise builder.error(f"has {scale.size} scales for a bias of shape {list(values.shape)}")
    name = builder.weight(values, bias.name)
    if scale.size == 1:
        return [
            builder.one("DequantizeLinear", name, builder.weight(scale.reshape(()), f"{bias.name}/scale"))
        ]
    return [builder.one("DequantizeLinear", name, builder.weight(scale, f"{bias.name}/scale"), axis=0)]


def transposed(builder: Builder, operator: Operator) -> None:
    """TRANSPOSE_CONV (TransposeConvOptions): output shape, filter OHWI, input, and a bias in newer files."""
    weights, image = operator.inputs[1:3]
    strides = [operator.integer(2), operator.integer(1)]
    kernel = list(builder.shape(weights)[1:3])
    sizes = builder.integers(operator.inputs[0])[1:3]
    padding = operator.small(0)
    if padding not in (SAME, VALID) or min(strides) < 1:
        raise builder.error(f"has the strides {strides} and the padding {padding}")
    begins, ends, extra = [], [], []
    for size, given, width, step in zip(sizes, builder.shape(image)[1:3], kernel, strides, strict=True):
        # How far the full result goes over the wanted size; what is missing is added at the end.
        over = (given - 1) * step + width - size
        begins.append(max(over, 0) // 2)
        ends.append(max(over, 0) - max(over, 0) // 2)
        extra.append(max(-over, 0))
    value = builder.one(
        "ConvTranspose",
        builder.real(image, NCHW),
        builder.real(weights, (3, 0, 1, 2)),
        *_bias(builder, operator, image, weights, 3),
        kernel_shape=kernel,
        strides=strides,
        pads=begins + ends,
        output_padding=extra,
    )
    builder.put_activated(operator.outputs[0], value, operator.small(3), NCHW)


def fully_connected(builder: Builder, operator: Operator) -> None:
    """FULLY_CONNECTED (FullyConnectedOptions): input (..., k), weights (units, k)."""
    source, weights = operator.inputs[:2]
    if operator.small(1):
        raise builder.error(
            "has shuffled weights, which aren't read", "Convert the network without that option."
        )
    units, width = builder.shape(weights)
    count = int(np.prod(builder.shape(source), dtype=np.int64))
    if width < 1 or count % width:
        raise builder.error(f"takes {count} numbers for weights of {[units, width]}")
    value = builder.one(
        "Gemm",
        reshaped(builder, source, (count // width, width)),
        builder.real(weights),
        *_bias(builder, operator, source, weights),
        transB=1,
    )
    wanted = builder.shape(operator.outputs[0])
    if wanted != (count // width, units):
        value = builder.one("Reshape", value, builder.numbers(wanted))
    builder.put_activated(operator.outputs[0], value, operator.small(0))


def batch_matmul(builder: Builder, operator: Operator) -> None:
    """BATCH_MATMUL (BatchMatMulOptions): the last two axes as matrices, either side turned over if so said."""
    values = []
    for slot, number in enumerate(operator.inputs):
        rank = len(builder.shape(number))
        order = identity(rank)
        if operator.small(slot):
            order = (*order[:-2], rank - 1, rank - 2)
        values.append(builder.real(number, order))
    builder.put(operator.outputs[0], builder.one("MatMul", *values))
