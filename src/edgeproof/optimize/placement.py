"""Where INT8 goes in a network: the nodes that compute in it, the tensors that need a range.

What ONNX Runtime's CPU provider fuses into integer kernels decides (its qdq_selector_action_transformer.cc):
a node between DequantizeLinear and QuantizeLinear that it has no kernel for costs two conversions and gains
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.formats.graph import attribute, constants, is_op, makers, pinned, takers, value_of
from edgeproof.optimize import PassResult
from edgeproof.optimize.opset import to_opset
from edgeproof.optimize.rules.constants import store_constants
from edgeproof.optimize.rules.unused import drop_weights_from_inputs

if TYPE_CHECKING:
    import onnx

_ELEMENTWISE = ("Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "GlobalAveragePool", "AveragePool")
# These hand values on unchanged, so that input and output share one scale.
_MOVING = ("MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Resize", "Slice", "Split")
# QuantizeLinear with one scale for each channel came with opset 13.
_INT8_OPSET = 13
_NO_LIMITS = (-float("inf"), float("inf"))


@dataclass(frozen=True)
class Placement:
    """What to quantise.

    Attributes:
        matrix: first output name -> channel axis of the weight, of each Conv, Gemm, MatMul that runs in INT8.
        others: first output names of the other nodes that run in INT8.
        absorbed: a node's output -> the output of the Relu or Clip after it, which saturation replaces.
        ranges: each tensor to quantise -> the tensor whose range it takes, itself for most.
        limits: tensor -> (low, high) of the absorbed Relu or Clip that makes it.
        outer: the tensors among `ranges` that no INT8 node makes, such as the network's input.
    """

    matrix: dict[str, int]
    others: frozenset[str]
    absorbed: dict[str, str]
    ranges: dict[str, str]
    limits: dict[str, tuple[float, float]]
    outer: frozenset[str]


def ready_to_place(model: onnx.ModelProto) -> PassResult:
    """The same network as `place` needs it: opset 13 or later, every weight a stored tensor.

    Raises:
        ModelError: an operator can't be lifted.
    """
    lifted = to_opset(model, _INT8_OPSET)
    drop_weights_from_inputs(lifted.model)
    store_constants(lifted.model)
    return lifted


def place(model: onnx.ModelProto) -> Placement:
    """Decide which nodes of a float32 network, as `ready_to_place` gives it, run in INT8.

    Convolutions and products with a known weight always do. Other operators do only between such ones: in
    the tail of a network (boxes beside scores in one Concat, say) one scale for all would cost accuracy for
    little time.
    """
    graph = model.graph
    known, users, made, kept = constants(graph), takers(graph), makers(graph), pinned(graph)
    matrix = {node.output[0]: axis for node in graph.node if (axis := _weight_axis(node, known)) is not None}
    leading = _leading_to(graph, matrix)
    others: set[str] = set()
    absorbed: dict[str, str] = {}
    ranges: dict[str, str] = {}
    limits: dict[str, tuple[float, float]] = {}
    outer: set[str] = set()
    for node in graph.node:
        data = [name for name in node.input if name and name not in known]
        if node.output[0] in matrix:
            if data[0] not in ranges:
                ranges[data[0]] = data[0]
                outer.add(data[0])
            # ONNX Runtime's integer Gemm and MatMul can give float32: keep the precision of a last layer.
            if not is_op(node, "Conv") and node.output[0] not in leading:
                continue
        elif _is_elementwise(node) and node.output[0] in leading and all(name in ranges for name in data):
            others.add(node.output[0])
        elif (
            _is_moving(node, known)
            and node.output[0] in leading
            and data[0] in ranges
            and data[0] not in outer
        ):
            others.add(node.output[0])
            for name in node.output:
                ranges[name] = ranges[data[0]]
            continue
        else:
            continue
        end = node.output[0]
        followers = users.get(end, [])
        if len(followers) == 1 and end not in kept and (bounds := _bounds(followers[0], known)) is not None:
            absorbed[end] = followers[0].output[0]
            end = absorbed[end]
            limits[end] = bounds
        ranges[end] = end
    assert all(name in made or name in outer for name in ranges)
    return Placement(matrix, frozenset(others), absorbed, ranges, limits, frozenset(outer))


def _leading_to(graph: onnx.GraphProto, matrix: dict[str, int]) -> set[str]:
    """The tensors from which some INT8 convolution or product can be reached."""
    leading: set[str] = set()
    for node in reversed(graph.node):
        if node.output[0] in matrix or any(name in leading for name in node.output):
            leading.update(node.input)
    return leading


def _weight_axis(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> int | None:
    """The axis of the weight's output channels, or None where the node can't run in INT8."""
    if not is_op(node, "Conv", "Gemm", "MatMul") or node.input[0] in known or node.input[1] not in known:
        return None
    weight = known[node.input[1]]
    bias = node.input[2] if len(node.input) > 2 else ""
    if weight.data_type != 1 or (bias and bias not in known):  # 1: TensorProto.FLOAT
        return None
    if is_op(node, "Conv"):
        return 0
    if len(weight.dims) != 2:
        return None
    if is_op(node, "MatMul"):
        return 1
    axis = 0 if attribute(node, "transB", 0) else 1
    plain = attribute(node, "alpha", 1.0) == 1.0 and not attribute(node, "transA", 0)
    if bias and (attribute(node, "beta", 1.0) != 1.0 or list(known[bias].dims) != [weight.dims[axis]]):
        plain = False
    return axis if plain else None


def _is_elementwise(node: onnx.NodeProto) -> bool:
    return is_op(node, *_ELEMENTWISE)


def _is_moving(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> bool:
    if not is_op(node, *_MOVING) or any(name and name not in known for name in list(node.input)[1:]):
        return False
    if is_op(node, "MaxPool"):
        return len(node.output) == 1
    if is_op(node, "Resize"):
        return bool(attribute(node, "mode", "nearest") == "nearest")
    return True


def _bounds(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> tuple[float, float] | None:
    """The (low, high) between which a Relu or Clip keeps its output, if 0 lies between, else None."""
    if is_op(node, "Relu"):
        return 0.0, float("inf")
    if not is_op(node, "Clip"):
        return None
    low, high = _NO_LIMITS
    names = [*node.input[1:], "", ""]
    if any(name and name not in known for name in names):
        return None
    if names[0]:
        low = float(np.ravel(value_of(known[names[0]]))[0])
    if names[1]:
        high = float(np.ravel(value_of(known[names[1]]))[0])
    return (low, high) if low <= 0.0 <= high else None
