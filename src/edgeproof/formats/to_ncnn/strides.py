"""Slices with a step, as YOLOX has them: ncnn's Crop takes every element, its Pooling can leave some out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeproof.formats.graph import constants, is_op, names_in, new_name, set_nodes, value_of

if TYPE_CHECKING:
    import onnx


def slice_steps(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto], rank: int) -> dict[int, int]:
    """The steps other than 1 of a Slice, by axis counted from 0; empty where they aren't stored."""
    steps = stored.get(node.input[4]) if len(node.input) > 4 else None
    axes = stored.get(node.input[3]) if len(node.input) > 3 else None
    if steps is None:
        return {}
    values = value_of(steps).ravel().tolist()
    places = value_of(axes).ravel().tolist() if axes is not None else range(len(values))
    return {axis % rank: step for axis, step in zip(places, values, strict=False) if step != 1}


def can_split(steps: Mapping[int, int], rank: int) -> bool:
    """Whether `split_strides` takes a slice with these steps, of a tensor with `rank` axes."""
    return rank == 4 and bool(steps) and set(steps) <= {2, 3} and min(steps.values()) > 0


def split_strides(graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Turn each slice that steps over rows or columns into one without a step and a 1x1 pooling with it.

    Arguments:
        graph: changed in place.
        shapes: of its tensors, as far as they are known.

    Returns:
        How many there were.
    """
    from onnx import helper

    stored, taken = constants(graph), names_in(graph)
    nodes, count = [], 0
    for node in graph.node:
        nodes.append(node)
        rank = len(shapes.get(node.input[0], ())) if is_op(node, "Slice") else 0
        steps = slice_steps(node, stored, rank) if rank else {}
        if not can_split(steps, rank):
            continue
        count += 1
        every = new_name(taken, f"{node.output[0]}_every")
        pool = helper.make_node(
            "MaxPool",
            [every],
            [node.output[0]],
            kernel_shape=[1, 1],
            strides=[steps.get(2, 1), steps.get(3, 1)],
        )
        del node.input[4]
        node.output[0] = every
        nodes.append(pool)
    set_nodes(graph, nodes)
    return count
