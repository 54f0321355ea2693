"""Writing QuantizeLinear and DequantizeLinear nodes into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import (
    add_constant,
    constants,
    names_in,
    new_name,
    replace_input,
    set_nodes,
    value_of,
)
from edgeproof.optimize.placement import Placement

if TYPE_CHECKING:
    import onnx

# The bias is stored as int32 in units of input scale x weight scale; half of int32 is left for the products.
_LARGEST_BIAS = 2.0**30
# The smallest scale for a range or a channel that is all zero: any will do that float32 holds as a normal
# number.
_SMALLEST_SCALE = 1e-30


def asymmetric_uint8(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """The scale and zero point of uint8 values over a range, which is first widened to hold 0.

    Source: ONNX operator QuantizeLinear; Jacob et al. 2018, arXiv:1712.05877, section 2.1.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / 255.0, _SMALLEST_SCALE))
    return scale, np.uint8(np.clip(np.rint(-low / float(scale)), 0, 255))


def symmetric_int8(
    weight: NDArray[np.float32], axis: int, least: NDArray[np.float64] | float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as int8 in -127..127, and one float32 scale, of at least `least`, per channel of `axis`."""
    others = tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.abs(weight).max(axis=others).astype(np.float64)
    scale = np.maximum(np.maximum(largest / 127.0, least), _SMALLEST_SCALE).astype(np.float32)
    shape = [1] * weight.ndim
    shape[axis] = -1
    quantised = np.rint(weight.astype(np.float64) / scale.reshape(shape))
    return np.clip(quantised, -127, 127).astype(np.int8), scale


class QDQWriter:
    """Rewrites one graph; holds the nodes so far and the names of what was added.

    Raises:
        ModelError: (from `rewrite`) a range is missing or not finite, or a weight is not finite.
    """

    def __init__(
        self, graph: onnx.GraphProto, plan: Placement, ranges: Mapping[str, tuple[float, float]]
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._ranges = ranges
        self._known = constants(graph)
        self._taken = names_in(graph)
        self._nodes: list[Any] = []
        self._parameters: dict[str, tuple[str, str, float]] = {}
        self._behind: dict[str, str] = {}

    def rewrite(self) -> None:
        """Put the conversions into the graph, and take out the activations that saturation replaces."""
        removed = set(self._plan.absorbed.values())
        for node in list(self._graph.node):
            first = node.output[0]
            if first in removed:
                continue
            axis = self._plan.matrix.get(first)
            if axis is None and first not in self._plan.others:
                self._nodes.append(node)
                continue
            source = node.input[0]
            for name in dict.fromkeys(node.input):
                if name in self._plan.outer:
                    replace_input(node, name, self._quantised_input(name))
            if axis is not None:
                self._quantise_weight(node, axis, self._scale_of(source)[2])
            self._nodes.append(node)
            self._quantise_outputs(node)
        set_nodes(self._graph, self._nodes)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: int) -> None:
        from onnx.helper import make_node

        self._nodes.append(make_node(kind, inputs, [output], name=f"{output}/{kind}", **attributes))

    def _scale_of(self, tensor: str) -> tuple[str, str, float]:
        """The names of a tensor's scale and zero point, and the scale."""
        owner = self._plan.ranges[tensor]
        if owner not in self._parameters:
            if owner not in self._ranges:
                raise ModelError(
                    f"There is no range for the activation {owner!r}.",
                    hint="Collect the ranges on this very network, after simplifying it.",
                )
            low, high = (float(bound) for bound in self._ranges[owner])
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ModelError(
                    f"The range of the activation {owner!r} is {low} to {high}.",
                    hint="Collect the ranges again, on samples prepared as in training.",
                )
            floor, ceiling = self._plan.limits.get(owner, (low, high))
            scale, zero = asymmetric_uint8(max(low, floor), min(high, ceiling))
            self._parameters[owner] = (
                add_constant(self._graph, self._taken, f"{owner}_scale", np.asarray(scale)),
                add_constant(self._graph, self._taken, f"{owner}_zero_point", np.asarray(zero)),
                float(scale),
            )
        return self._parameters[owner]

    def _quantised_input(self, tensor: str) -> str:
        if tensor not in self._behind:
            scale, zero, _ = self._scale_of(tensor)
            quantised = new_name(self._taken, f"{tensor}_quantised")
            self._behind[tensor] = new_name(self._taken, f"{tensor}_dequantised")
            self._add("QuantizeLinear", [tensor, scale, zero], quantised)
            self._add("DequantizeLinear", [quantised, scale, zero], self._behind[tensor])
        return self._behind[tensor]

    def _quantise_outputs(self, node: onnx.NodeProto) -> None:
        for place, own in enumerate(node.output):
            name = self._plan.absorbed.get(own, own)
            if name not in self._plan.ranges:
                continue
            scale, zero, _ = self._scale_of(name)
            node.output[place] = new_name(self._taken, f"{name}_float")
            quantised = new_name(self._taken, f"{name}_quantised")
            self._add("QuantizeLinear", [node.output[place], scale, zero], quantised)
            # This takes the tensor's own name, so that whoever takes it, the caller too, need not change.
            self._add("DequantizeLinear", [quantised, scale, zero], name)

    def _quantise_weight(self, node: onnx.NodeProto, axis: int, input_scale: float) -> None:
        stem = node.input[1]
        weight = self._finite(stem)
        bias = self._finite(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        least = 0.0 if bias is None else np.abs(bias.astype(np.float64)) / (_LARGEST_BIAS * input_scale)
        values, scale = symmetric_int8(weight, axis, least)
        node.input[1] = self._stored(f"{stem}_int8", values, scale, axis)
        if bias is not None:
            unit = (scale.astype(np.float64) * input_scale).astype(np.float32)
            steps = np.rint(bias.astype(np.float64) / unit)
            limit = 2.0**31 - 1
            steps = np.clip(steps, -limit, limit).astype(np.int32)
            node.input[2] = self._stored(f"{node.input[2]}_int32", steps, unit, 0)

    def _finite(self, name: str) -> NDArray[np.float32]:
        value = value_of(self._known[name]).astype(np.float32)
        if not np.isfinite(value).all():
            raise ModelError(
                f"The weight {name!r} holds NaN or infinity.",
                hint="Its training diverged: use an earlier checkpoint.",
            )
        return value

    def _stored(
        self, stem: str, values: NDArray[np.int8] | NDArray[np.int32], scale: NDArray[np.float32], axis: int
    ) -> str:
        inputs = [
            add_constant(self._graph, self._taken, stem, values),
            add_constant(self._graph, self._taken, f"{stem}_scale", scale),
            add_constant(self._graph, self._taken, f"{stem}_zero_point", np.zeros(scale.shape, values.dtype)),
        ]
        output = new_name(self._taken, f"{stem}_dequantised")
        self._add("DequantizeLinear", inputs, output, axis=axis)
        return output
