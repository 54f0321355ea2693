"""Layers that cut, join and rearrange: Concat, Slice, Crop, Interp, Upsample, Permute, Reshape, Flatten, Split."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from edgeproof.formats.caffe.graph import Blob, Builder
from edgeproof.formats.caffe.net import Layer
from edgeproof.formats.caffe.pointwise import mixed


def _axis(layer: Layer, bottom: Blob, default: int, older: str = "") -> int:
    rank = len(bottom.shape)
    if older and layer.params.has(older):
        return layer.params.integer(older, default, high=rank - 1)
    axis = layer.params.integer("axis", default, low=-rank, high=rank - 1)
    if axis >= rank:
        raise layer.params.error(f"axis {axis} of a bottom with {rank} axes")
    return axis % rank


def concat(build: Builder, layer: Layer) -> None:
    """Concat: the bottoms agree in every axis but one."""
    inputs = build.bottoms(layer)
    axis = _axis(layer, inputs[0], 1, "concat_dim")
    first = inputs[0].shape
    for blob in inputs:
        if len(blob.shape) != len(first) or any(
            a != b for place, (a, b) in enumerate(zip(blob.shape, first, strict=True)) if place != axis
        ):
            raise layer.params.error(
                f"{list(blob.shape)} doesn't fit {list(first)} along axis {axis}",
                "All other axes have to agree.",
            )
    mixed(build, layer, inputs)
    if axis == 0:
        build.fix_batch(layer)
    size = sum(blob.shape[axis] for blob in inputs)
    top = build.bind(layer, (*first[:axis], size, *first[axis + 1 :]), batched=inputs[0].batched and axis > 0)
    build.node("Concat", [blob.tensor for blob in inputs], [top], axis=axis)


def slice_(build: Builder, layer: Layer) -> None:
    """Slice: into equal parts, or at the slice points."""
    (bottom,) = build.bottoms(layer, 1)
    axis = _axis(layer, bottom, 1, "slice_dim")
    size, count = bottom.shape[axis], len(layer.tops)
    points = layer.params.integers("slice_point", low=1)
    if not points and count and size % count == 0:
        points = [size // count * place for place in range(1, count)]
    ends = [0, *points, size]
    parts = [b - a for a, b in pairwise(ends)]
    if len(parts) != count or min(parts) < 1:
        raise layer.params.error(f"{count} tops from {size} values, cut at {points[:16]}")
    if axis == 0:
        build.fix_batch(layer)
    tops = [
        build.bind(
            layer,
            (*bottom.shape[:axis], part, *bottom.shape[axis + 1 :]),
            batched=bottom.batched and axis > 0,
            top=place,
        )
        for place, part in enumerate(parts)
    ]
    build.node("Split", [bottom.tensor, build.integers(layer, parts)], tops, axis=axis)


def split(build: Builder, layer: Layer) -> None:
    """Split: the same blob under several names."""
    (bottom,) = build.bottoms(layer, 1)
    for place in range(len(layer.tops)):
        top = build.bind(layer, bottom.shape, batched=bottom.batched, top=place)
        build.node("Identity", [bottom.tensor], [top])


def silence(build: Builder, layer: Layer) -> None:
    """Silence: its bottoms are no outputs."""
    build.bottoms(layer)


def crop(build: Builder, layer: Layer) -> None:
    """Crop: the first bottom cut to the size of the second, from `axis` on, at the offsets."""
    bottom, like = build.bottoms(layer, 2)
    axis = _axis(layer, bottom, 2)
    offsets = layer.params.integers("offset") or [0]
    if len(offsets) == 1:
        offsets = offsets * (len(bottom.shape) - axis)
    if len(like.shape) != len(bottom.shape) or len(offsets) != len(bottom.shape) - axis:
        raise layer.params.error(f"{list(bottom.shape)} to {list(like.shape)} with {len(offsets)} offsets")
    ends = [start + size for start, size in zip(offsets, like.shape[axis:], strict=True)]
    if any(end > size for end, size in zip(ends, bottom.shape[axis:], strict=True)):
        raise layer.params.error(
            f"{list(bottom.shape)} is too small to cut {list(like.shape[axis:])} at {offsets}"
        )
    if axis == 0:
        build.fix_batch(layer)
    top = build.bind(layer, (*bottom.shape[:axis], *like.shape[axis:]), batched=bottom.batched and axis > 0)
    axes = list(range(axis, len(bottom.shape)))
    build.node(
        "Slice", [bottom.tensor, *(build.integers(layer, values) for values in (offsets, ends, axes))], [top]
    )


def _factor(size: int, wanted: int) -> float:
    # Resize sizes its output as floor(size * scale), the scale a float32: rounded down, it would fall one short.
    factor = np.float32(wanted / size)
    while float(factor) * size < wanted:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


def _resize(
    build: Builder, layer: Layer, bottom: Blob, size: tuple[int, int], mode: str, corners: str
) -> None:
    top = build.bind(layer, (*bottom.shape[:2], *size), batched=bottom.batched)
    factors = [
        np.float32(1),
        np.float32(1),
        *(_factor(a, b) for a, b in zip(bottom.shape[2:], size, strict=True)),
    ]
    scales = build.constant(layer, np.asarray(factors, np.float32), "scales")
    build.node(
        "Resize",
        [bottom.tensor, "", scales],
        [top],
        mode=mode,
        coordinate_transformation_mode=corners,
        nearest_mode="floor",
    )


def _image(layer: Layer, bottom: Blob) -> None:
    if len(bottom.shape) != 4:
        raise layer.params.error(f"its bottom has {len(bottom.shape)} axes, and it takes 4")


def interp(build: Builder, layer: Layer) -> None:
    """Interp of DeepLab and PSPNet: bilinear, corners on corners (interp_layer.cpp)."""
    (bottom,) = build.bottoms(layer, 1)
    _image(layer, bottom)
    params = layer.params
    if params.integer("pad_beg", 0, low=-(2**31)) or params.integer("pad_end", 0, low=-(2**31)):
        raise params.error("pad_beg and pad_end can't be imported", "Cut or pad with a layer of its own.")
    height, width = bottom.shape[2:]
    shrink = params.integer("shrink_factor", 1, low=1)
    zoom = params.integer("zoom_factor", 1, low=1, high=1 << 16)
    height, width = ((size - 1) // shrink + 1 for size in (height, width))
    height, width = (size + (size - 1) * (zoom - 1) for size in (height, width))
    size = (params.integer("height", height, low=1), params.integer("width", width, low=1))
    _resize(build, layer, bottom, size, "linear", "align_corners")


def upsample(build: Builder, layer: Layer) -> None:
    """Upsample of the YOLO forks: each pixel repeated `scale` times."""
    (bottom,) = build.bottoms(layer, 1)
    _image(layer, bottom)
    factor = layer.params.integer("scale", 2, low=1, high=1 << 16)
    _resize(
        build, layer, bottom, (bottom.shape[2] * factor, bottom.shape[3] * factor), "nearest", "asymmetric"
    )


def permute(build: Builder, layer: Layer) -> None:
    """Permute: the axes that are not named follow in their own order."""
    (bottom,) = build.bottoms(layer, 1)
    order = layer.params.integers("order", high=len(bottom.shape) - 1)
    if len(set(order)) != len(order):
        raise layer.params.error(f"order names an axis twice: {order[:16]}")
    order += [axis for axis in range(len(bottom.shape)) if axis not in order]
    if order[0] != 0:
        build.fix_batch(layer)
    top = build.bind(
        layer, tuple(bottom.shape[axis] for axis in order), batched=bottom.batched and order[0] == 0
    )
    build.node("Transpose", [bottom.tensor], [top], perm=order)


def flatten(build: Builder, layer: Layer) -> None:
    """Flatten: the axes from `axis` to `end_axis` become one."""
    (bottom,) = build.bottoms(layer, 1)
    rank = len(bottom.shape)
    axis = _axis(layer, bottom, 1)
    end = layer.params.integer("end_axis", -1, low=-rank, high=rank - 1) % rank
    if end < axis:
        raise layer.params.error(f"end_axis {end} stands before axis {axis}")
    shape = (*bottom.shape[:axis], math.prod(bottom.shape[axis : end + 1]), *bottom.shape[end + 1 :])
    _reshape(build, layer, bottom, shape, keeps=axis > 0 or end == 0)


def reshape(build: Builder, layer: Layer) -> None:
    """Reshape: 0 copies the bottom's size, one -1 takes what is left; `axis` and `num_axes` bound what changes."""
    (bottom,) = build.bottoms(layer, 1)
    params, rank = layer.params, len(bottom.shape)
    start = params.integer("axis", 0, low=-rank - 1, high=rank)
    start = start + rank + 1 if start < 0 else start
    count = params.integer("num_axes", -1, low=-1, high=rank)
    end = rank if count == -1 else start + count
    dims = params.inside("shape").integers("dim", low=-1)
    if end > rank or dims.count(-1) > 1 or len(dims) > 16:
        raise params.error(f"dims {dims[:16]} for the axes {start} to {end} of {list(bottom.shape)}")
    new = []
    for place, size in enumerate(dims):
        if size == 0 and start + place >= rank:
            raise params.error(f"dim {place} is 0, and the bottom has no such axis")
        new.append(bottom.shape[start + place] if size == 0 else size)
    shape = [*bottom.shape[:start], *new, *bottom.shape[end:]]
    total = math.prod(bottom.shape)
    if -1 in shape:
        known = -math.prod(shape)
        if known == 0 or total % known:
            raise params.error(f"{list(bottom.shape)} has {total} values, which {dims} don't divide")
        shape[shape.index(-1)] = total // known
    if math.prod(shape) != total:
        raise params.error(f"{list(bottom.shape)} has {total} values, and {shape} has {math.prod(shape)}")
    # A first size that is written as the declared batch means the batch, as exporters write it.
    _reshape(build, layer, bottom, tuple(shape), keeps=bool(shape) and shape[0] == bottom.shape[0])


def _reshape(build: Builder, layer: Layer, bottom: Blob, shape: tuple[int, ...], *, keeps: bool) -> None:
    if bottom.batched and not keeps:
        build.fix_batch(layer)
    batched = bottom.batched and keeps
    top = build.bind(layer, shape, batched=batched)
    sizes = [0 if batched and place == 0 else size for place, size in enumerate(shape)]
    build.node("Reshape", [bottom.tensor, build.integers(layer, sizes)], [top])
