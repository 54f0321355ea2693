"""What has weights: convolutions and products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Option, Quantisation
from edgeproof.formats.to_litert.layout import NHWC, Order, identity
from edgeproof.formats.to_litert.operators.window import VALID, padded, window_of

_COMPUTED = "its weights are computed while it runs: they have to be stored in the network"


def convolution(builder: Builder, node: Any) -> None:
    """Conv: CONV_2D with filters OHWI, DEPTHWISE_CONV_2D with 1HWO where each channel has its own group."""
    source, weights = node.input[:2]
    known = builder.known(weights)
    if known is None:
        raise Refused(_COMPUTED)
    sizes = builder.shape(source)[2:]
    window = window_of(builder, node, known.value.shape[2:], sizes)
    groups = attribute(node, "group", 1)
    channels, made = builder.shape(source)[1], known.value.shape[0]
    depthwise = groups == channels and groups > 1
    order: Order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    image = builder.take(source, NHWC)
    padding = window.padding(sizes)
    if padding is None:
        image, padding = padded(builder, image, window), VALID
    options: dict[int, Option] = {
        0: ("b", padding),
        1: ("i", window.strides[1]),
        2: ("i", window.strides[0]),
        3: ("b", 0),
        4: ("i", window.dilations[1]),
        5: ("i", window.dilations[0]),
    }
    if depthwise:
        options = {**options, 3: ("i", made // channels), 4: ("b", 0), 5: options[4], 6: options[5]}
    inputs = [image, builder.take(weights, order), _bias(builder, node, image, known, made)]
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    builder.make(node.output[0], kind, inputs, NHWC, options)


def _bias(builder: Builder, node: Any, image: int, weights: Known, count: int, factor: float = 1.0) -> int:
    """The third input of a node as a stored vector; zeros where there is none, as some kernels want one."""
    value: Array = np.zeros(count, np.float32)
    if len(node.input) > 2 and node.input[2]:
        value = builder.constant(node.input[2], "bias").reshape(-1) * np.float32(factor)
    return _stored_bias(builder, value, image, weights)


def _stored_bias(builder: Builder, value: Array, image: int, weights: Known) -> int:
    value = np.ascontiguousarray(value, np.float32)
    if not builder.integer:
        return builder.store(Known(value), "bias")
    source = builder.graph.tensors[image].quantisation
    assert source is not None
    assert weights.quantisation is not None
    # The scale of a bias is the product of the others, its zero point 0
    # (https://ai.google.dev/edge/litert/models/quantization_spec).
    scale = (source.scale[0].astype(np.float64) * weights.quantisation.scale).astype(np.float32)
    limit = 2.0**31 - 1
    steps = np.clip(np.rint(value.astype(np.float64) / scale), -limit, limit).astype(np.int32)
    number = builder.store(Known(steps), "bias")
    tensor = builder.graph.tensors[number]
    tensor.quantisation = Quantisation(scale, np.zeros(scale.size, np.int64), 0)
    return number


def transposed(builder: Builder, node: Any) -> None:
    """ConvTranspose: TRANSPOSE_CONV of the full size, with filters OHWI, then cut to what the pads leave."""
    source, weights = node.input[:2]
    value = builder.constant(weights, "weights")
    if value.ndim != 4:
        raise Refused(f"it slides over {value.ndim - 2} axes; only pictures, of two, are written")
    groups = attribute(node, "group", 1)
    strides = list(attribute(node, "strides", [1, 1]))
    filters = _dilated(_ungrouped(value, groups), list(attribute(node, "dilations", [1, 1])))
    kernel = filters.shape[2:]
    shape = builder.shape(node.output[0])
    given = builder.shape(source)[2:]
    full = [(size - 1) * step + width for size, step, width in zip(given, strides, kernel, strict=True)]
    begins = _begins(node, full, shape[2:])
    if builder.varying.get(source):
        builder.fix_batch("ConvTranspose has its output's shape stored")
    image = builder.take(source, NHWC)
    # What output_padding adds beyond the full size lies behind the last window: nothing but the bias.
    whole = [max(size, begin + wanted) for size, begin, wanted in zip(full, begins, shape[2:], strict=True)]
    sizes = [shape[0], *full, filters.shape[1]]
    filters_number = builder.store(Known(np.ascontiguousarray(filters.transpose(1, 2, 3, 0))), weights)
    options: dict[int, Option] = {0: ("b", VALID), 1: ("i", strides[1]), 2: ("i", strides[0]), 3: ("b", 0)}
    number = builder.step(
        "TRANSPOSE_CONV", [builder.numbers(sizes), filters_number, image], sizes, image, options
    )
    if whole != full:
        pads = [[0, 0], *([0, more - size] for more, size in zip(whole, full, strict=True)), [0, 0]]
        sizes = [shape[0], *whole, filters.shape[1]]
        number = builder.step("PAD", [number, builder.store(Known(np.asarray(pads, np.int32)))], sizes, image)
    if whole != list(shape[2:]):
        first = [0, *begins, 0]
        sizes = [shape[0], *shape[2:], filters.shape[1]]
        number = builder.step("SLICE", [number, builder.numbers(first), builder.numbers(sizes)], sizes, image)
    bias = np.zeros(filters.shape[1], np.float32)
    if len(node.input) > 2 and node.input[2]:
        bias = np.asarray(builder.constant(node.input[2], "bias"), np.float32)
    builder.make(node.output[0], "ADD", [number, builder.store(Known(bias), "bias")], NHWC)


def _begins(node: Any, full: list[int], wanted: tuple[int, ...]) -> list[int]:
    kind = attribute(node, "auto_pad", "NOTSET")
    if kind == "NOTSET" and attribute(node, "output_shape") is None:
        return list(attribute(node, "pads", [0] * 4))[:2]
    # ONNX, ConvTranspose: the pads follow from the shape; SAME_LOWER puts the larger half in front.
    total = [max(size - want, 0) for size, want in zip(full, wanted, strict=True)]
    return [over - over // 2 if kind != "SAME_UPPER" else over // 2 for over in total]


def _ungrouped(value: Array, groups: int) -> Array:
    """Filters (in, out / groups, h, w) as those of one group: zeros where the groups don't meet."""
    if groups == 1:
        return value
    each, made = value.shape[0] // groups, value.shape[1]
    whole = np.zeros((value.shape[0], made * groups, *value.shape[2:]), value.dtype)
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        whole[rows, group * made : (group + 1) * made] = value[rows]
    return whole


def _dilated(value: Array, dilations: list[int]) -> Array:
    height, width = ((size - 1) * step + 1 for size, step in zip(value.shape[2:], dilations, strict=True))
    whole = np.zeros((*value.shape[:2], height, width), value.dtype)
    whole[:, :, :: dilations[0], :: dilations[1]] = value
    return whole


def gemm(builder: Builder, node: Any) -> None:
    """Gemm: FULLY_CONNECTED with weights (units, inputs), or BATCH_MATMUL where both sides are computed."""
    left, right = node.input[:2]
    alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    turned, across = attribute(node, "transA", 0), attribute(node, "transB", 0)
    known = builder.known(right)
    if known is None:
        raise Refused(_COMPUTED)
    order: Order = (0, 1) if across else (1, 0)
    if alpha != 1.0:
        known = Known((known.real() * np.float32(alpha)).astype(np.float32))
        weights = builder.store(known.turned(order), right)
    else:
        weights = builder.take(right, order)
    units = known.value.shape[order[0]]
    image = builder.take(left, (1, 0) if turned else (0, 1))
    bias: Array = np.zeros(units, np.float32)
    whole = None
    if len(node.input) > 2 and node.input[2]:
        stored = builder.known(node.input[2])
        if (
            stored is not None
            and stored.value.size in (1, units)
            and stored.value.shape[-1:] in ((), (1,), (units,))
        ):
            bias = np.broadcast_to(stored.real().reshape(-1) * np.float32(beta), (units,))
        elif beta != 1.0:
            raise Refused(f"it adds {beta} times a matrix")
        else:
            whole = node.input[2]
    inputs = [image, weights, _stored_bias(builder, bias, image, known.turned(order))]
    options: dict[int, Option] = {0: ("b", 0), 1: ("b", 0), 2: ("b", 0)}
    if whole is None:
        builder.make(node.output[0], "FULLY_CONNECTED", inputs, options=options)
    else:
        shape = builder.shape(node.output[0])
        number = builder.step("FULLY_CONNECTED", inputs, shape, image, options)
        builder.make(node.output[0], "ADD", [number, builder.operand(whole, (0, 1))])


def matmul(builder: Builder, node: Any) -> None:
    """MatMul: FULLY_CONNECTED where the right side is a stored matrix, else BATCH_MATMUL."""
    left, right = node.input[:2]
    known = builder.known(right)
    if builder.rank(left) < 2 or builder.rank(right) < 2:
        raise Refused("one of its sides is a vector")
    if known is not None and known.value.ndim == 2:
        image = builder.take(left)
        units = known.value.shape[1]
        zeros = np.zeros(units, np.float32)
        bias = _stored_bias(builder, zeros, image, known.turned((1, 0)))
        keep = int(builder.rank(left) > 2)
        inputs = [image, builder.take(right, (1, 0)), bias]
        options: dict[int, Option] = {0: ("b", 0), 1: ("b", 0), 2: ("b", keep)}
        builder.make(node.output[0], "FULLY_CONNECTED", inputs, options=options)
        return
    rank = builder.rank(node.output[0])
    straight = identity(rank)
    turned: Order = (*straight[:-2], rank - 1, rank - 2)
    across = builder.rank(right) == rank and known is None and turned in builder.orders(right)
    inputs = [builder.operand(left, straight), builder.operand(right, turned if across else straight)]
    builder.make(node.output[0], "BATCH_MATMUL", inputs, options={0: ("b", 0), 1: ("b", int(across))})


def batch_norm(builder: Builder, node: Any) -> None:
    """BatchNormalization as it is when trained: one product and one sum for each channel."""
    scale, shift, mean, variance = (
        builder.constant(name, "statistics").astype(np.float64) for name in node.input[1:5]
    )
    if attribute(node, "training_mode", 0):
        raise Refused("it is in training mode")
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    offset = shift - mean * factor
    rank = builder.rank(node.input[0])
    order = builder.best_order(node.input[:1], rank)
    shape = [1] * rank
    shape[1] = -1
    parts = [
        builder.store(Known(part.astype(np.float32).reshape(shape).transpose(order)), node.output[0])
        for part in (factor, offset)
    ]
    image = builder.take(node.input[0], order)
    number = builder.step("MUL", [image, parts[0]], builder.graph.tensors[image].shape, image)
    builder.make(node.output[0], "ADD", [number, parts[1]], order)
