"""Zero padding moved into the convolution that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeproof.formats.graph import (
    attribute,
    constants,
    is_op,
    opset_of,
    pinned,
    remove_makers_of,
    set_attribute,
    takers,
    value_of,
)

if TYPE_CHECKING:
    import onnx


def merge_pads(model: onnx.ModelProto) -> int:
    """Add the padding of a Pad node to the convolutions that take its output; gives how many Pads went."""
    graph = model.graph
    known, users, kept = constants(graph), takers(graph), pinned(graph)
    merged: set[str] = set()
    for node in graph.node:
        if not is_op(node, "Pad") or node.output[0] in kept:
            continue
        padding = _zero_padding(node, known, opset_of(model))
        convolutions = users.get(node.output[0], [])
        if padding is None or not convolutions:
            continue
        if not all(_can_pad(user, node.output[0], known, len(padding)) for user in convolutions):
            continue
        for conv in convolutions:
            own = attribute(conv, "pads") or [0] * len(padding)
            set_attribute(conv, "pads", [a + b for a, b in zip(own, padding, strict=True)])
            conv.input[0] = node.input[0]
        merged.add(node.output[0])
    remove_makers_of(graph, merged)
    return len(merged)


def _can_pad(node: onnx.NodeProto, tensor: str, known: dict[str, onnx.TensorProto], pads: int) -> bool:
    return (
        is_op(node, "Conv")
        and attribute(node, "auto_pad", "NOTSET") == "NOTSET"
        and node.input[0] == tensor
        and tensor not in list(node.input)[1:]
        and node.input[1] in known
        and 2 * (len(known[node.input[1]].dims) - 2) == pads
    )


def _zero_padding(node: onnx.NodeProto, known: dict[str, onnx.TensorProto], opset: int) -> list[int] | None:
    """The spatial padding [begin..., end...] of a Pad node that only adds zeros there, else None."""
    if attribute(node, "mode", "constant") != "constant":
        return None
    if opset < 11:
        pads, fill = attribute(node, "pads"), attribute(node, "value", 0.0)
        axes: list[int] | None = None
    else:
        optional = [*node.input, "", "", ""]
        if any(name and name not in known for name in optional[1:4]) or not optional[1]:
            return None
        pads = value_of(known[optional[1]]).tolist()
        fill = float(np.ravel(value_of(known[optional[2]]))[0]) if optional[2] else 0.0
        axes = value_of(known[optional[3]]).tolist() if optional[3] else None
    # With `axes`, the rank is not in the Pad: the axes have to name the spatial ones by positive numbers.
    if not pads or fill != 0.0 or min(pads) < 0:
        return None
    half = len(pads) // 2
    begin, end = dict(enumerate(pads[:half])), dict(enumerate(pads[half:]))
    if axes is not None:
        if sorted(axes) != list(range(2, 2 + half)):
            return None
        begin, end = dict(zip(axes, pads[:half], strict=True)), dict(zip(axes, pads[half:], strict=True))
    if any(begin.get(axis, 0) or end.get(axis, 0) for axis in (0, 1)):
        return None
    spatial = sorted(axis for axis in begin if axis >= 2)
    return [int(side[axis]) for side in (begin, end) for axis in spatial]
