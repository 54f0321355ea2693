"""Operators that change a picture's size."""

from __future__ import annotations

from edgeproof.formats.tflite.builder import NCHW, Builder
from edgeproof.formats.tflite.schema import Operator


def resize(builder: Builder, operator: Operator) -> None:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: where the corners or the centres of pixels lie on each other.

    Source of the rounding: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h.
    """
    source = operator.inputs[0]
    linear = operator.kind == "RESIZE_BILINEAR"
    aligned, centred = (operator.small(slot) for slot in ((2, 3) if linear else (0, 1)))
    batch, _, _, channels = builder.shape(source)
    height, width = builder.integers(operator.inputs[1])
    if min(height, width) < 1 or max(height, width) > 1 << 16:
        raise builder.error(f"resizes to {height} x {width}")
    mapping = "align_corners" if aligned else "half_pixel" if centred else "asymmetric"
    value = builder.one(
        "Resize",
        builder.real(source, NCHW),
        "",
        "",
        builder.numbers([batch, channels, height, width]),
        mode="linear" if linear else "nearest",
        coordinate_transformation_mode=mapping,
        nearest_mode="floor" if mapping == "asymmetric" else "round_prefer_ceil",
    )
    builder.put(operator.outputs[0], value, NCHW)


def space_to_depth(builder: Builder, operator: Operator) -> None:
    """SPACE_TO_DEPTH and DEPTH_TO_SPACE: the block's place is the slower part of the channel in both standards."""
    block = operator.integer(0)
    if not 1 <= block <= 1 << 10:
        raise builder.error(f"has the block size {block}")
    source = builder.real(operator.inputs[0], NCHW)
    if operator.kind == "SPACE_TO_DEPTH":
        value = builder.one("SpaceToDepth", source, blocksize=block)
    else:
        value = builder.one("DepthToSpace", source, blocksize=block, mode="DCR")
    builder.put(operator.outputs[0], value, NCHW)
