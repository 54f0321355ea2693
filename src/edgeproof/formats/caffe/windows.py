"""Layers that slide a window or multiply by a matrix: Convolution, Deconvolution, Pooling, InnerProduct."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.formats.caffe.graph import Builder
from edgeproof.formats.caffe.net import Layer, Params


def _pair(params: Params, name: str, one: str, default: int | None, low: int) -> tuple[int, int]:
    # kernel_h and kernel_w, or kernel_size once for both or once for each axis (caffe.proto).
    if params.has(f"{name}_h") or params.has(f"{name}_w"):
        start = default if default is not None else 0
        pair = (params.integer(f"{name}_h", start, low=low), params.integer(f"{name}_w", start, low=low))
    else:
        values = params.integers(one, low=low) or ([default] if default is not None else [])
        if len(values) not in (1, 2):
            raise params.error(f"{one} is given {len(values)} times", "Give it once, or once for each axis.")
        pair = (values[0], values[-1])
    if min(pair) < low or max(pair) > 1 << 20:
        raise params.error(f"{name} is {pair}", f"Give {name}_h and {name}_w, of {low} or more.")
    return pair


def _window(layer: Layer) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    params = layer.params
    kernel = _pair(params, "kernel", "kernel_size", None, 1)
    return kernel, _pair(params, "stride", "stride", 1, 1), _pair(params, "pad", "pad", 0, 0)


def _image(layer: Layer, shape: tuple[int, ...]) -> None:
    if len(shape) != 4:
        raise layer.params.error(
            f"its bottom has {len(shape)} axes, and it takes 4 (batch, channels, height, width)"
        )


def _groups(layer: Layer, channels: int) -> tuple[int, int]:
    count = layer.params.integer("num_output", 0)
    group = layer.params.integer("group", 1, low=1)
    if layer.kind in ("ConvolutionDepthwise", "DepthwiseConvolution"):
        group = channels
    if count < 1 or count % group or channels % group:
        raise layer.params.error(
            f"{channels} channels to {count} in {group} groups",
            "num_output and the channels are multiples of group.",
        )
    if layer.params.integer("axis", 1) != 1:
        raise layer.params.error("only axis: 1 can be imported")
    return count, group


def convolution(build: Builder, layer: Layer) -> None:
    """Convolution, grouped and dilated too, and the depthwise layers that forks of Caffe added."""
    (bottom,) = build.bottoms(layer, 1)
    _image(layer, bottom.shape)
    kernel, stride, pad = _window(layer)
    dilation = _pair(layer.params, "dilation", "dilation", 1, 1)
    count, group = _groups(layer, bottom.shape[1])
    inner = bottom.shape[1] // group
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    shape = (count, inner, *kernel)
    values = build.weights(layer, _shapes(layer, shape, count), fan_in=inner * math.prod(kernel))
    size = tuple(
        (n + 2 * p - span) // s + 1
        for n, p, span, s in zip(bottom.shape[2:], pad, spans, stride, strict=True)
    )
    top = build.bind(layer, (bottom.shape[0], count, *size), batched=bottom.batched)
    names = [
        build.constant(layer, value, part) for value, part in zip(values, ("weight", "bias"), strict=False)
    ]
    window = {"kernel_shape": kernel, "strides": stride, "pads": [*pad, *pad], "dilations": dilation}
    build.node("Conv", [bottom.tensor, *names], [top], **window, group=group)


def _shapes(layer: Layer, weight: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    return [weight, (count,)] if layer.params.flag("bias_term", True) else [weight]


def deconvolution(build: Builder, layer: Layer) -> None:
    """Deconvolution: the transposed convolution; the weights are (in, out / group, height, width)."""
    (bottom,) = build.bottoms(layer, 1)
    _image(layer, bottom.shape)
    kernel, stride, pad = _window(layer)
    dilation = _pair(layer.params, "dilation", "dilation", 1, 1)
    count, group = _groups(layer, bottom.shape[1])
    shape = (bottom.shape[1], count // group, *kernel)
    fan_in = bottom.shape[1] // group * math.prod(kernel)
    values = build.weights(layer, _shapes(layer, shape, count), fan_in=fan_in)
    size = tuple(
        s * (n - 1) + d * (k - 1) + 1 - 2 * p
        for n, s, d, k, p in zip(bottom.shape[2:], stride, dilation, kernel, pad, strict=True)
    )
    top = build.bind(layer, (bottom.shape[0], count, *size), batched=bottom.batched)
    names = [
        build.constant(layer, value, part) for value, part in zip(values, ("weight", "bias"), strict=False)
    ]
    window = {"kernel_shape": kernel, "strides": stride, "pads": [*pad, *pad], "dilations": dilation}
    build.node("ConvTranspose", [bottom.tensor, *names], [top], **window, group=group)


def inner_product(build: Builder, layer: Layer) -> None:
    """InnerProduct: everything from `axis` on is one vector."""
    (bottom,) = build.bottoms(layer, 1)
    rank = len(bottom.shape)
    axis = layer.params.integer("axis", 1, low=-rank, high=rank - 1) % rank
    count = layer.params.integer("num_output", 0)
    if count < 1:
        raise layer.params.error("num_output is missing or 0")
    inner = math.prod(bottom.shape[axis:])
    transposed = layer.params.flag("transpose", False)
    shape = (inner, count) if transposed else (count, inner)
    values = build.weights(layer, _shapes(layer, shape, count), fan_in=inner)
    if axis == 0:
        build.fix_batch(layer)
    top = build.bind(layer, (*bottom.shape[:axis], count), batched=bottom.batched and axis > 0)
    names = [
        build.constant(layer, value, part) for value, part in zip(values, ("weight", "bias"), strict=False)
    ]
    flat = build.step(layer, "Flatten", [bottom.tensor], axis=axis)
    if axis == 1:
        build.node("Gemm", [flat, *names], [top], transB=int(not transposed))
        return
    rows = build.step(layer, "Gemm", [flat, *names], transB=int(not transposed))
    batched = bottom.batched and axis > 0
    sizes = [
        -1 if batched and place == 0 else size for place, size in enumerate((*bottom.shape[:axis], count))
    ]
    build.node("Reshape", [rows, build.integers(layer, sizes)], [top])


def pooling(build: Builder, layer: Layer) -> None:
    """Pooling as Caffe sizes it: rounded up, a last window that starts outside dropped, the rest clipped.

    The average divides by the window clipped to the padded picture (pooling_layer.cpp), which ONNX can't say:
    the border is corrected by a constant where it matters.
    """
    (bottom,) = build.bottoms(layer, 1)
    _image(layer, bottom.shape)
    params = layer.params
    kind = params.choice("pool", ("MAX", "AVE", "STOCHASTIC"))
    if kind == "STOCHASTIC":
        raise params.error("stochastic pooling can't be imported", "Use MAX or AVE.")
    if len(layer.tops) > 1:
        raise params.error("the mask of a MAX pooling can't be imported", "Remove its second top.")
    batch, channels, *image = bottom.shape
    if params.flag("global_pooling", False):
        top = build.bind(layer, (batch, channels, 1, 1), batched=bottom.batched)
        build.node("GlobalMaxPool" if kind == "MAX" else "GlobalAveragePool", [bottom.tensor], [top])
        return
    kernel, stride, pad = _window(layer)
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise params.error(f"the pad {pad} is not smaller than the kernel {kernel}")
    up = params.choice("round_mode", ("CEIL", "FLOOR")) == "CEIL" and params.flag("ceil_mode", True)
    size, ends = [], []
    for n, k, s, p in zip(image, kernel, stride, pad, strict=True):
        room = n + 2 * p - k
        if room < 0:
            raise params.error(
                f"its window of {k} is larger than its input of {n}", "Check the input's size."
            )
        count = (-(-room // s) if up else room // s) + 1
        if (count - 1) * s >= n + p:
            if not any(pad):  # Caffe drops such a window only where there is a pad, and else makes it -3.4e38
                raise params.error(
                    "its last window lies outside its input", "Check the input's size and the stride."
                )
            count -= 1
        size.append(count)
        ends.append(max((count - 1) * s + k - n - p, 0))
    top = build.bind(layer, (batch, channels, *size), batched=bottom.batched)
    settings = {"kernel_shape": kernel, "strides": stride, "pads": [*pad, *ends]}
    if kind == "MAX":
        build.node("MaxPool", [bottom.tensor], [top], **settings)
        return
    if all(end <= p for end, p in zip(ends, pad, strict=True)):
        build.node("AveragePool", [bottom.tensor], [top], count_include_pad=1, **settings)
        return
    build.may_hold(layer, math.prod(size))
    factors = [
        k / (np.minimum(np.arange(count) * s + k, n + 2 * p) - np.arange(count) * s)
        for count, n, k, s, p in zip(size, image, kernel, stride, pad, strict=True)
    ]
    border = np.outer(factors[0], factors[1]).astype(np.float32)[None, None]
    mean = build.step(layer, "AveragePool", [bottom.tensor], count_include_pad=1, **settings)
    build.node("Mul", [mean, build.constant(layer, border, "border")], [top])
