"""Layers that keep the shape: activations, norms, scales, sums of blobs."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.formats.caffe.graph import Blob, Builder
from edgeproof.formats.caffe.net import Layer

_PLAIN = {
    "AbsVal": "Abs",
    "Dropout": "Identity",  # at inference it passes everything on
    "Sigmoid": "Sigmoid",
    "TanH": "Tanh",
}


def plain(build: Builder, layer: Layer) -> None:
    """Layers that are one ONNX node without settings."""
    (bottom,) = build.bottoms(layer, 1)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    build.node(_PLAIN[layer.kind], [bottom.tensor], [top])


def relu(build: Builder, layer: Layer) -> None:
    """ReLU, leaky where negative_slope is set."""
    (bottom,) = build.bottoms(layer, 1)
    slope = layer.params.number("negative_slope", 0.0)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    if slope:
        build.node("LeakyRelu", [bottom.tensor], [top], alpha=slope)
    else:
        build.node("Relu", [bottom.tensor], [top])


def relu6(build: Builder, layer: Layer) -> None:
    """ReLU6, of the forks that run MobileNets."""
    (bottom,) = build.bottoms(layer, 1)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    ends = [build.constant(layer, np.float32(end), "end") for end in (0, 6)]
    build.node("Clip", [bottom.tensor, *ends], [top])


def elu(build: Builder, layer: Layer) -> None:
    """ELU."""
    (bottom,) = build.bottoms(layer, 1)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    build.node("Elu", [bottom.tensor], [top], alpha=layer.params.number("alpha", 1.0))


def prelu(build: Builder, layer: Layer) -> None:
    """PReLU: one slope for each channel, or one for all."""
    (bottom,) = build.bottoms(layer, 1)
    channels = 1 if layer.params.flag("channel_shared", False) else _channels(layer, bottom)
    (slope,) = build.weights(layer, [(channels,)])
    if len(bottom.shape) > 1:
        slope = slope.reshape(-1, *[1] * (len(bottom.shape) - 2))
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    build.node("PRelu", [bottom.tensor, build.constant(layer, slope, "slope")], [top])


def _channels(layer: Layer, bottom: Blob) -> int:
    if len(bottom.shape) < 2:
        raise layer.params.error("its bottom has no axis of channels")
    return bottom.shape[1]


def power(build: Builder, layer: Layer) -> None:
    """Power: (shift + scale * x) ^ power."""
    (bottom,) = build.bottoms(layer, 1)
    x = bottom.tensor
    steps = [("Mul", "scale", 1.0), ("Add", "shift", 0.0), ("Pow", "power", 1.0)]
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    for kind, name, neutral in steps:
        value = layer.params.number(name, neutral)
        if value != neutral:
            x = build.step(layer, kind, [x, build.constant(layer, np.float32(value), name)])
    build.node("Identity", [x], [top])


def lrn(build: Builder, layer: Layer) -> None:
    """LRN across channels: alpha is divided by the size, as ONNX does (Krizhevsky et al. 2012 does not)."""
    (bottom,) = build.bottoms(layer, 1)
    params = layer.params
    if params.choice("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL")) == "WITHIN_CHANNEL":
        raise params.error(
            "LRN within a channel can't be imported",
            "Replace it, or train with norm_region: ACROSS_CHANNELS.",
        )
    size = params.integer("local_size", 5, low=1)
    if size % 2 == 0:
        raise params.error(f"local_size is {size}, and has to be odd")
    _channels(layer, bottom)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    build.node(
        "LRN",
        [bottom.tensor],
        [top],
        size=size,
        alpha=params.number("alpha", 1.0),
        beta=params.number("beta", 0.75),
        bias=params.number("k", 1.0),
    )


def batch_norm(build: Builder, layer: Layer) -> None:
    """BatchNorm with the statistics of training: mean, variance, and the factor that both are divided by."""
    (bottom,) = build.bottoms(layer, 1)
    channels = _channels(layer, bottom)
    mean, variance, factor = build.weights(layer, [(channels,), (channels,), (1,)])
    with np.errstate(all="ignore"):
        scale = np.float32(0 if factor[0] == 0 else 1 / factor[0])
        mean, variance = mean * scale, variance * scale
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    one = build.constant(layer, np.ones(channels, np.float32), "scale")
    zero = build.constant(layer, np.zeros(channels, np.float32), "bias")
    parts = [build.constant(layer, mean, "mean"), build.constant(layer, variance, "variance")]
    epsilon = layer.params.number("eps", 1e-5)
    build.plain_norms[top] = build.node(
        "BatchNormalization", [bottom.tensor, one, zero, *parts], [top], epsilon=epsilon
    )


def scale(build: Builder, layer: Layer) -> None:
    """Scale and Bias: times and plus a blob, or weights, that start at `axis`."""
    inputs = build.bottoms(layer, 2 if len(layer.bottoms) == 2 else 1)
    bottom, rank = inputs[0], len(inputs[0].shape)
    axis = layer.params.integer("axis", 1, low=-rank, high=rank - 1) % rank
    count = layer.params.integer("num_axes", 1, low=-1, high=rank)
    bias = layer.kind == "Scale" and layer.params.flag("bias_term", False)
    if len(inputs) == 2:
        other = inputs[1]
        over = other.shape
        if bias:
            raise layer.params.error(
                "a bias_term beside two bottoms can't be imported", "Use a Bias layer after it."
            )
        if other.batched != (bottom.batched and axis == 0):
            build.fix_batch(layer)
    else:
        over = bottom.shape[axis:] if count == -1 else bottom.shape[axis : axis + count]
    if not over or bottom.shape[axis : axis + len(over)] != over:
        raise layer.params.error(f"{list(over)} doesn't fit {list(bottom.shape)} from axis {axis} on")
    if axis == 0 and len(inputs) == 1:
        build.fix_batch(layer)
    wide = [*over, *[1] * (rank - axis - len(over))]
    kinds = ["Add"] if layer.kind == "Bias" else ["Mul", "Add"][: 1 + bias]
    if len(inputs) == 2:
        top = build.bind(layer, bottom.shape, batched=bottom.batched)
        sizes = [0 if place < len(over) else 1 for place in range(len(wide))]
        wider = build.step(layer, "Reshape", [inputs[1].tensor, build.integers(layer, sizes)])
        build.node(kinds[0], [bottom.tensor, wider], [top])
        return
    values = build.weights(layer, [over] * len(kinds))
    norm = build.plain_norms.get(bottom.tensor)
    in_place = layer.tops[:1] == layer.bottoms[:1] and build.uses(bottom) == 1
    if norm is not None and in_place and kinds[0] == "Mul" and axis == 1 and len(over) == 1:
        # Nobody else saw the norm's own output: its unused scale and bias take the layer in.
        del build.plain_norms[bottom.tensor]
        norm.output[0] = build.bind(layer, bottom.shape, batched=bottom.batched)
        for place, value in enumerate(values, start=1):
            norm.input[place] = build.constant(layer, value, "weight")
        return
    x = bottom.tensor
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    names = [build.constant(layer, value.reshape(wide), "weight") for value in values]
    for kind, name in zip(kinds[:-1], names[:-1], strict=True):
        x = build.step(layer, kind, [x, name])
    build.node(kinds[-1], [x, names[-1]], [top])


def eltwise(build: Builder, layer: Layer) -> None:
    """Eltwise: product, sum (with coefficients), or maximum of blobs of one shape."""
    inputs = build.bottoms(layer)
    params = layer.params
    kind = params.choice(
        "operation", ("SUM", "PROD", "MAX") if not params.has("operation") else ("PROD", "SUM", "MAX")
    )
    coefficients = params.numbers("coeff") or [1.0] * len(inputs)
    if len({blob.shape for blob in inputs}) != 1:
        shapes = ", ".join(str(list(blob.shape)) for blob in inputs[:8])
        raise params.error(f"its bottoms have the shapes {shapes}", "They have to be of one shape.")
    if len(coefficients) != len(inputs) or (params.has("coeff") and kind != "SUM"):
        raise params.error(f"{len(coefficients)} coefficients for {len(inputs)} bottoms of a {kind}")
    mixed(build, layer, inputs)
    top = build.bind(layer, inputs[0].shape, batched=inputs[0].batched)
    names = [
        blob.tensor
        if value == 1.0
        else build.step(layer, "Mul", [blob.tensor, build.constant(layer, np.float32(value), "coeff")])
        for blob, value in zip(inputs, coefficients, strict=True)
    ]
    pair = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[kind]
    x = names[0]
    for name in names[1:-1]:
        x = build.step(layer, pair, [x, name])
    if len(names) == 1:
        build.node("Identity", [x], [top])
    else:
        build.node(pair, [x, names[-1]], [top])


def mixed(build: Builder, layer: Layer, inputs: list[Blob]) -> None:
    """Keep the batch where only some of a layer's bottoms have one."""
    if len({blob.batched for blob in inputs}) != 1:
        build.fix_batch(layer)


def softmax(build: Builder, layer: Layer) -> None:
    """Softmax along `axis`."""
    (bottom,) = build.bottoms(layer, 1)
    rank = len(bottom.shape)
    axis = layer.params.integer("axis", 1, low=-rank, high=rank - 1) % rank
    if axis == 0:
        build.fix_batch(layer)
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    build.node("Softmax", [bottom.tensor], [top], axis=axis)


def normalize(build: Builder, layer: Layer) -> None:
    """Normalize of SSD: L2 over the channels, or over all of a picture, times a scale (Liu et al. 2015, ParseNet)."""
    (bottom,) = build.bottoms(layer, 1)
    channels = _channels(layer, bottom)
    shared = layer.params.flag("channel_shared", True)
    (factor,) = build.weights(layer, [(1 if shared else channels,)])
    axes = [*range(1, len(bottom.shape))] if layer.params.flag("across_spatial", True) else [1]
    top = build.bind(layer, bottom.shape, batched=bottom.batched)
    square = build.step(layer, "Mul", [bottom.tensor, bottom.tensor])
    total = build.step(layer, "ReduceSum", [square, build.integers(layer, axes, "axes")])
    epsilon = max(layer.params.number("eps", 1e-10), math.ldexp(1, -120))
    raised = build.step(layer, "Add", [total, build.constant(layer, np.float32(epsilon), "eps")])
    length = build.step(layer, "Sqrt", [raised])
    unit = build.step(layer, "Div", [bottom.tensor, length])
    wide = factor.reshape(-1, *[1] * (len(bottom.shape) - 2))
    build.node("Mul", [unit, build.constant(layer, wide, "scale")], [top])
