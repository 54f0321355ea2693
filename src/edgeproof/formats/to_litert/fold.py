"""Nodes that go into one: a batch normalisation into the convolution before it, a hard swish out of its parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.graph import attribute, is_op

if TYPE_CHECKING:
    import onnx


def folded(
    nodes: list[onnx.NodeProto], constants: dict[str, Array], outputs: set[str]
) -> list[onnx.NodeProto]:
    """The nodes that are left; new weights are added to `constants`.

    Arguments:
        outputs: tensors that have to stay.
    """
    makers = {name: node for node in nodes for name in node.output}
    takers: dict[str, int] = dict.fromkeys(outputs, 2)
    for node in nodes:
        for name in node.input:
            takers[name] = takers.get(name, 0) + 1
    replaced: dict[str, Any] = {}
    for node in nodes:
        made = None
        if is_op(node, "BatchNormalization"):
            before = makers.get(node.input[0])
            if before is not None and is_op(before, "Conv") and takers[node.input[0]] == 1:
                made = _with_batch_norm(replaced.get(before.output[0], before), node, constants)
        elif is_op(node, "Mul"):
            before = _hard_sigmoid(node, makers)
            if before is not None and takers[before.output[0]] == 1:
                made = _node("HardSwish", [before.input[0]], node)
        if made is not None and before is not None:
            replaced[node.output[0]] = made
            replaced[before.output[0]] = None
    return [
        found
        for node in nodes
        if (found := replaced.get(node.output[0], node) if node.output else node) is not None
    ]


def _node(kind: str, inputs: list[str], like: onnx.NodeProto) -> onnx.NodeProto:
    from onnx.helper import make_node

    return make_node(kind, inputs, [like.output[0]], name=like.name)


def _with_batch_norm(
    conv: onnx.NodeProto, node: onnx.NodeProto, constants: dict[str, Array]
) -> onnx.NodeProto | None:
    """Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2: at inference a batch normalisation is linear."""
    names = [*conv.input[1:], *node.input[1:5]]
    if any(name not in constants or constants[name].dtype != np.float32 for name in names if name):
        return None
    if attribute(node, "training_mode", 0):
        return None
    weight = constants[conv.input[1]].astype(np.float64)
    scale, shift, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:5])
    has_bias = len(conv.input) > 2 and conv.input[2]
    bias = constants[conv.input[2]].astype(np.float64) if has_bias else np.zeros(len(weight))
    factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    end = node.output[0]
    made = _node("Conv", [conv.input[0], f"{end}/folded_weight", f"{end}/folded_bias"], node)
    made.attribute.extend(conv.attribute)
    shape = (-1,) + (1,) * (weight.ndim - 1)
    constants[made.input[1]] = np.asarray(weight * factor.reshape(shape), np.float32)
    constants[made.input[2]] = np.asarray((bias - mean) * factor + shift, np.float32)
    return made


def _hard_sigmoid(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """The HardSigmoid of x where the node is x times that, with hard swish's slope (arXiv:1905.02244, 5.2)."""
    for one, two in (node.input, node.input[::-1]):
        before = makers.get(two)
        if (
            before is not None
            and is_op(before, "HardSigmoid")
            and before.input[0] == one
            and math.isclose(attribute(before, "alpha", 0.2), 1 / 6, rel_tol=1e-4)
            and attribute(before, "beta", 0.5) == 0.5
        ):
            return before
    return None
