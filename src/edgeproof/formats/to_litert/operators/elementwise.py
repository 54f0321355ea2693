"""Operators that work on each element by itself, or along one axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeproof.formats.graph import attribute
from edgeproof.formats.to_litert.builder import Builder, Known, Refused
from edgeproof.formats.to_litert.flatfile import Quantisation

BINARY = {
    "Add": "ADD",
    "Sub": "SUB",
    "Mul": "MUL",
    "Div": "DIV",
    "Pow": "POW",
    "Max": "MAXIMUM",
    "Min": "MINIMUM",
    "Sum": "ADD",
    "Greater": "GREATER",
    "GreaterOrEqual": "GREATER_EQUAL",
    "Less": "LESS",
    "LessOrEqual": "LESS_EQUAL",
    "Equal": "EQUAL",
    "And": "LOGICAL_AND",
    "Or": "LOGICAL_OR",
}
UNARY = {
    "Relu": "RELU",
    "Sigmoid": "LOGISTIC",
    "Tanh": "TANH",
    "HardSwish": "HARD_SWISH",
    "Exp": "EXP",
    "Log": "LOG",
    "Sqrt": "SQRT",
    "Abs": "ABS",
    "Neg": "NEG",
    "Floor": "FLOOR",
    "Ceil": "CEIL",
    "Round": "ROUND",
    "Sin": "SIN",
    "Cos": "COS",
    "Not": "LOGICAL_NOT",
}
# What these give in int8 is laid down (https://ai.google.dev/edge/litert/models/quantization_spec).
_UNIT = Quantisation(np.asarray([1 / 256], np.float32), np.asarray([-128]))
FIXED = {
    "Sigmoid": _UNIT,
    "Softmax": _UNIT,
    "Tanh": Quantisation(np.asarray([1 / 128], np.float32), np.asarray([0])),
}
_CLIPPED = {
    (0.0, 6.0): "RELU6",
    (0.0, math.inf): "RELU",
    (-1.0, 1.0): "RELU_N1_TO_1",
    (0.0, 1.0): "RELU_0_TO_1",
}


def binary(builder: Builder, node: Any) -> None:
    """Operands broadcast as numpy does; of Max, Min and Sum there may be more than two."""
    end, kind = node.output[0], BINARY[node.op_type]
    names = list(node.input)
    if len(names) == 1:
        builder.alias(end, names[0])
        return
    exponent = builder.known(names[1]) if node.op_type == "Pow" else None
    if exponent is not None:  # ONNX lets it be of another type
        names[1] = f"{names[1]}/exponent"
        value = exponent.real().astype(builder.network.dtypes[end])
        builder.network.shapes[names[1]] = value.shape
        builder.keep(names[1], Known(value))
    rank = builder.rank(end)
    order = builder.best_order(names, rank)
    left = builder.operand(names[0], order)
    for name in names[1:-1]:
        right = builder.operand(name, order)
        shape = np.broadcast_shapes(*(builder.graph.tensors[number].shape for number in (left, right)))
        left = builder.step(kind, [left, right], shape, left)
    right = builder.operand(names[-1], order)
    if max(len(builder.graph.tensors[number].shape) for number in (left, right)) < rank:  # single numbers
        left = builder.reshape(left, [1] * rank, None)
    options = {0: ("b", 0.0)} if kind in ("ADD", "SUB", "MUL", "DIV") else None
    builder.make(end, kind, [left, right], order, options)


def unary(builder: Builder, node: Any) -> None:
    """One operand."""
    order = _order(builder, node)
    image = builder.take(node.input[0], order)
    builder.make(node.output[0], UNARY[node.op_type], [image], order, quantisation=FIXED.get(node.op_type))


def _order(builder: Builder, node: Any) -> tuple[int, ...]:
    return builder.best_order(node.input[:1], builder.rank(node.input[0]))


def _scalar(builder: Builder, value: float) -> int:
    return builder.store(Known(np.asarray(value, np.float32)), "constant")


def _step(builder: Builder, kind: str, number: int, *others: int) -> int:
    return builder.step(kind, [number, *others], builder.graph.tensors[number].shape, number)


def bounds(builder: Builder, node: Any) -> tuple[float, float]:
    """Between what Clip keeps its input."""
    low, high = -math.inf, math.inf
    if len(node.input) > 1 and node.input[1]:
        low = float(builder.constant(node.input[1], "lower bound").reshape(()))
    if len(node.input) > 2 and node.input[2]:
        high = float(builder.constant(node.input[2], "upper bound").reshape(()))
    return low, high


def saturating(builder: Builder, node: Any) -> bool:
    """Whether a Relu or Clip is one of those that TFLite can fuse into the operator before."""
    if node.op_type == "Relu":
        return True
    return all(builder.known(name) for name in node.input[1:] if name) and bounds(builder, node) in _CLIPPED


def clip(builder: Builder, node: Any) -> None:
    """Clip: one of the RELUs, or MAXIMUM and MINIMUM."""
    end, order = node.output[0], _order(builder, node)
    limits = bounds(builder, node)
    image = builder.take(node.input[0], order)
    dtype = builder.graph.tensors[image].dtype
    if limits in _CLIPPED and (dtype == "float32" or builder.integer):
        builder.make(end, _CLIPPED[limits], [image], order)
        return
    given = [
        (kind, builder.store(Known(np.asarray(limit, dtype))))
        for kind, limit in zip(("MAXIMUM", "MINIMUM"), limits, strict=True)
        if math.isfinite(limit)
    ]
    if not given:
        builder.alias(end, node.input[0])
        return
    if len(given) == 2:
        image = _step(builder, given[0][0], image, given[0][1])
    builder.make(end, given[-1][0], [image, given[-1][1]], order)


def leaky_relu(builder: Builder, node: Any) -> None:
    """LeakyRelu."""
    order = _order(builder, node)
    options = {0: ("f", attribute(node, "alpha", 0.01))}
    builder.make(node.output[0], "LEAKY_RELU", [builder.take(node.input[0], order)], order, options)


def prelu(builder: Builder, node: Any) -> None:
    """PRelu; its slopes lose the axis of the batch, which TFLite wants them without."""
    order = _order(builder, node)
    value = builder.constant(node.input[1], "slopes")
    whole = value.reshape((1,) * (len(order) - value.ndim) + value.shape).transpose(order)
    if len(order) > 1 and whole.shape[0] == 1:
        whole = whole[0]
    slopes = builder.store(Known(np.ascontiguousarray(whole)), node.input[1])
    builder.make(node.output[0], "PRELU", [builder.take(node.input[0], order), slopes], order)


def elu(builder: Builder, node: Any) -> None:
    """Elu of alpha 1."""
    if attribute(node, "alpha", 1.0) != 1.0:
        raise Refused(f"its alpha is {attribute(node, 'alpha')}; only 1 can be said")
    order = _order(builder, node)
    builder.make(node.output[0], "ELU", [builder.take(node.input[0], order)], order)


def hard_sigmoid(builder: Builder, node: Any) -> None:
    """HardSigmoid: alpha x + beta between 0 and 1."""
    order = _order(builder, node)
    image = builder.take(node.input[0], order)
    image = _step(builder, "MUL", image, _scalar(builder, attribute(node, "alpha", 0.2)))
    image = _step(builder, "ADD", image, _scalar(builder, attribute(node, "beta", 0.5)))
    builder.make(node.output[0], "RELU_0_TO_1", [image], order)


def softplus(builder: Builder, node: Any) -> None:
    """Softplus, log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)), which never overflows."""
    order = _order(builder, node)
    image = builder.take(node.input[0], order)
    rest = _step(builder, "EXP", _step(builder, "NEG", _step(builder, "ABS", image)))
    rest = _step(builder, "LOG", _step(builder, "ADD", rest, _scalar(builder, 1.0)))
    builder.make(node.output[0], "ADD", [_step(builder, "RELU", image), rest], order)


def reciprocal(builder: Builder, node: Any) -> None:
    """Reciprocal: 1 divided by it."""
    order = _order(builder, node)
    builder.make(node.output[0], "DIV", [_scalar(builder, 1.0), builder.take(node.input[0], order)], order)


def softmax(builder: Builder, node: Any) -> None:
    """Softmax and LogSoftmax: TFLite's run along the last axis."""
    rank = builder.rank(node.input[0])
    order = builder.order_with_last(node.input[0], attribute(node, "axis", -1) % rank)
    image = builder.take(node.input[0], order)
    if node.op_type == "Softmax":
        options = {0: ("f", 1.0)}
        builder.make(node.output[0], "SOFTMAX", [image], order, options, quantisation=FIXED["Softmax"])
    else:
        builder.make(node.output[0], "LOG_SOFTMAX", [image], order)


def where(builder: Builder, node: Any) -> None:
    """Where: SELECT_V2, which broadcasts."""
    order = builder.best_order(node.input, builder.rank(node.output[0]))
    inputs = [builder.operand(name, order) for name in node.input]
    builder.make(node.output[0], "SELECT_V2", inputs, order)


def cast(builder: Builder, node: Any) -> None:
    """Cast; that of stored halves only widens them."""
    from edgeproof.formats.tflite.names import TYPE_NAMES
    from edgeproof.formats.to_litert.flatfile import KINDS

    known = builder.known(node.input[0])
    end = node.output[0]
    if known is not None and known.value.dtype == np.float16 and builder.network.dtypes[end] == np.float32:
        builder.keep(end, known)
        return
    order = _order(builder, node)
    image = builder.take(node.input[0], order)
    given, made = builder.graph.tensors[image].dtype, builder.network.dtypes[end].name
    if given == made:
        builder.alias(end, node.input[0])
        return
    if made not in KINDS:
        raise Refused(f"it makes {made}, which TFLite lacks")
    codes = [("b", float(TYPE_NAMES.index(KINDS[kind]))) for kind in (given, made)]
    builder.make(end, "CAST", [image], order, {0: codes[0], 1: codes[1]})


def identity(builder: Builder, node: Any) -> None:
    """Identity and Dropout, which does nothing outside training."""
    builder.alias(node.output[0], node.input[0])
