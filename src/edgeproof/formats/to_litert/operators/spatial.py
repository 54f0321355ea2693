"""Operators that change a picture's size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Option
from edgeproof.formats.to_litert.layout import NHWC, permuted
from edgeproof.formats.to_litert.operators.arrange import quantisation_of

_FLAGS = {"asymmetric": (0, 0), "align_corners": (1, 0), "half_pixel": (0, 1)}


def resize(builder: Builder, node: Any) -> None:
    """Resize and Upsample, nearest or linear, of the height and width.

    Nearest: by RESIZE_NEAREST_NEIGHBOR where one of its ways gives the very same pixels, else by GATHER.
    """
    source, end = node.input[0], node.output[0]
    before, after = builder.shape(source), builder.shape(end)
    if len(before) != 4 or builder.sizes(source)[:2] != builder.sizes(end)[:2]:
        raise Refused("it resizes other axes than height and width")
    if attribute(node, "antialias", 0) or attribute(node, "axes") is not None:
        raise Refused("it uses antialias or axes")
    if attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused("it keeps the aspect ratio")
    mode = attribute(node, "mode", "nearest")
    image = builder.take(source, NHWC)
    size = builder.numbers(after[2:])
    quantisation = quantisation_of(builder, image)
    if mode == "nearest":
        maps = [_nearest(builder, node, axis) for axis in (2, 3)]
        for flags in _FLAGS.values():
            theirs = [_tflite_nearest(before[axis], after[axis], *flags) for axis in (2, 3)]
            if all(np.array_equal(*pair) for pair in zip(maps, theirs, strict=True)):
                options: dict[int, Option] = {0: ("b", flags[0]), 1: ("b", flags[1])}
                kind = "RESIZE_NEAREST_NEIGHBOR"
                builder.make(end, kind, [image, size], NHWC, options, quantisation=quantisation)
                return
        shape = [before[0], after[2], before[3], before[1]]
        rows, columns = (builder.numbers(each.tolist()) for each in maps)
        image = builder.step("GATHER", [image, rows], shape, image, {0: ("i", 1), 1: ("i", 0)})
        along: dict[int, Option] = {0: ("i", 2), 1: ("i", 0)}
        builder.make(end, "GATHER", [image, columns], NHWC, along, quantisation=quantisation)
        return
    mapping = _mapping(node, after)
    if mode != "linear" or mapping not in _FLAGS:
        raise Refused(f"it resizes by {mode} with {mapping}")
    for axis in (2, 3):
        if abs(_scale(builder, node, axis) * before[axis] - after[axis]) > 1e-3:
            raise Refused("its scales don't give whole sizes")
    aligned, centred = _FLAGS[mapping]
    options = {2: ("b", aligned), 3: ("b", centred)}
    builder.make(end, "RESIZE_BILINEAR", [image, size], NHWC, options, quantisation=quantisation)


def _mapping(node: Any, after: tuple[int, ...]) -> str:
    if node.op_type == "Upsample":
        return "asymmetric"
    mapping = str(attribute(node, "coordinate_transformation_mode", "half_pixel"))
    if mapping == "pytorch_half_pixel" and min(after[2:]) > 1:
        return "half_pixel"
    return mapping


def _scale(builder: Builder, node: Any, axis: int) -> float:
    before, after = builder.shape(node.input[0])[axis], builder.shape(node.output[0])[axis]
    place = 1 if node.op_type == "Upsample" else 2
    if len(node.input) > place and node.input[place]:
        scales = builder.constant(node.input[place], "scales")
        if scales.size:
            return float(scales[axis])
    return after / before


def _nearest(builder: Builder, node: Any, axis: int) -> NDArray[np.int64]:
    """Which pixel of the input each of the output is (ONNX, Resize)."""
    before, after = builder.shape(node.input[0])[axis], builder.shape(node.output[0])[axis]
    scale = _scale(builder, node, axis)
    places = np.arange(after, dtype=np.float64)
    match _mapping(node, builder.shape(node.output[0])):
        case "asymmetric":
            real = places / scale
        case "half_pixel":
            real = (places + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            real = (places + 0.5) / scale - 0.5 if after > 1 else np.zeros(1)
        case "align_corners":
            real = places * (before - 1) / max(after - 1, 1)
        case other:
            raise Refused(f"it resizes with {other}")
    real = np.round(real, 6)  # float32 in the runtimes: what is a hair from a half or a whole counts as one
    rule = attribute(node, "nearest_mode", "round_prefer_floor") if node.op_type == "Resize" else "floor"
    match rule:
        case "floor":
            chosen = np.floor(real)
        case "ceil":
            chosen = np.ceil(real)
        case "round_prefer_ceil":
            chosen = np.floor(real + 0.5)
        case _:
            chosen = np.ceil(real - 0.5)
    return np.asarray(np.clip(chosen, 0, before - 1), np.int64)


def _tflite_nearest(before: int, after: int, aligned: int, centred: int) -> NDArray[np.int64]:
    # tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h
    scale = np.float32((before - 1) / (after - 1)) if aligned and after > 1 else np.float32(before / after)
    real = (np.arange(after, dtype=np.float32) + np.float32(0.5 if centred else 0)) * scale
    chosen = np.floor(real + np.float32(0.5)) if aligned else np.floor(real)
    return np.asarray(np.clip(chosen, 0, before - 1), np.int64)


def depth_to_space(builder: Builder, node: Any) -> None:
    """DepthToSpace; TFLite's has the place in the block as the slower part of the channel (DCR)."""
    block = attribute(node, "blocksize")
    source = node.input[0]
    if attribute(node, "mode", "DCR") == "DCR":
        options: dict[int, Option] = {0: ("i", block)}
        builder.make(node.output[0], "DEPTH_TO_SPACE", [builder.take(source, NHWC)], NHWC, options)
        return
    # CRD: the same, once the channels are in the other order.
    channels = builder.shape(source)[1]
    places = np.arange(channels).reshape(channels // block**2, block**2).T.ravel()
    image = builder.take(source, NHWC)
    image = builder.step(
        "GATHER",
        [image, builder.numbers(places.tolist())],
        permuted(builder.shape(source), NHWC),
        image,
        {0: ("i", 3), 1: ("i", 0)},
    )
    builder.make(node.output[0], "DEPTH_TO_SPACE", [image], NHWC, {0: ("i", block)})


def space_to_depth(builder: Builder, node: Any) -> None:
    """SpaceToDepth."""
    options: dict[int, Option] = {0: ("i", attribute(node, "blocksize"))}
    image = builder.take(node.input[0], NHWC)
    builder.make(node.output[0], "SPACE_TO_DEPTH", [image], NHWC, options)


def local_response(builder: Builder, node: Any) -> None:
    """LRN; ONNX divides alpha by the size, TFLite doesn't."""
    size = attribute(node, "size")
    if size % 2 == 0:
        raise Refused(f"it sums over {size} channels, an even number")
    options: dict[int, Option] = {
        0: ("i", size // 2),
        1: ("f", attribute(node, "bias", 1.0)),
        2: ("f", attribute(node, "alpha", 1e-4) / size),
        3: ("f", attribute(node, "beta", 0.75)),
    }
    image = builder.take(node.input[0], NHWC)
    builder.make(node.output[0], "LOCAL_RESPONSE_NORMALIZATION", [image], NHWC, options)


def normalise(builder: Builder, node: Any) -> None:
    """InstanceNormalization and LayerNormalization, in their parts: less the mean, by the root of the variance."""
    source, end = node.input[0], node.output[0]
    rank = builder.rank(source)
    if node.op_type == "InstanceNormalization":
        axes, shape = list(range(2, rank)), [1, -1, *[1] * (rank - 2)]
    else:
        axes = list(range(attribute(node, "axis", -1) % rank, rank))
        shape = list(builder.shape(node.input[1]))
        shape = [1] * (rank - len(shape)) + shape
    order = builder.best_order([source], rank)
    image = builder.take(source, order)
    whole = builder.graph.tensors[image].shape
    small = tuple(1 if axis in axes else size for axis, size in zip(order, whole, strict=True))
    places = builder.numbers(sorted(order.index(axis) for axis in axes))
    keep: dict[int, Option] = {0: ("b", 1)}

    def stored(name: str, what: str) -> int:
        value = builder.constant(name, what).reshape(shape).transpose(order)
        return builder.store(Known(np.ascontiguousarray(value, np.float32)), name)

    mean = builder.step("MEAN", [image, places], small, image, keep)
    centred = builder.step("SUB", [image, mean], whole, image)
    square = builder.step("MUL", [centred, centred], whole, image)
    variance = builder.step("MEAN", [square, places], small, image, keep)
    epsilon = builder.store(Known(np.asarray(attribute(node, "epsilon", 1e-5), np.float32)))
    root = builder.step("RSQRT", [builder.step("ADD", [variance, epsilon], small, image)], small, image)
    scaled = builder.step("MUL", [centred, root], whole, image)
    scaled = builder.step("MUL", [scaled, stored(node.input[1], "scale")], whole, image)
    if len(node.input) > 2 and node.input[2]:
        scaled = builder.step("ADD", [scaled, stored(node.input[2], "bias")], whole, image)
    builder.put(end, scaled, order)
