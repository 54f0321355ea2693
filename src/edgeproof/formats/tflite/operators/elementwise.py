"""Operators that work on each element by itself, or along one axis."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.formats.tflite.builder import Builder
from edgeproof.formats.tflite.schema import Operator

# ONNX's operator, and whether an activation may be fused into TFLite's (slot 0 of its options).
BINARY = {
    "ADD": ("Add", True),
    "SUB": ("Sub", True),
    "MUL": ("Mul", True),
    "DIV": ("Div", True),
    "MAXIMUM": ("Max", False),
    "MINIMUM": ("Min", False),
    "POW": ("Pow", False),
}
UNARY = {
    "LOGISTIC": "Sigmoid",
    "TANH": "Tanh",
    "HARD_SWISH": "HardSwish",
    "EXP": "Exp",
    "ABS": "Abs",
    "NEG": "Neg",
    "SQRT": "Sqrt",
    "LOG": "Log",
    "FLOOR": "Floor",
    "CEIL": "Ceil",
    "ELU": "Elu",
}
CLIPPED = {
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def binary(builder: Builder, operator: Operator) -> None:
    """Two operands, broadcast as numpy does."""
    kind, fused = BINARY[operator.kind]
    left, right = operator.inputs
    rank = max(len(builder.shape(left)), len(builder.shape(right)))
    order = builder.best_order(operator.inputs, rank)
    value = builder.one(kind, builder.operand(left, order), builder.operand(right, order))
    builder.put_activated(operator.outputs[0], value, operator.small(0) if fused else 0, order)


def unary(builder: Builder, operator: Operator) -> None:
    """One operand."""
    order = _order(builder, operator)
    value = builder.one(UNARY[operator.kind], builder.real(operator.inputs[0], order))
    builder.put(operator.outputs[0], value, order)


def clipped(builder: Builder, operator: Operator) -> None:
    """RELU and its bounded forms."""
    order = _order(builder, operator)
    value = builder.clip(builder.real(operator.inputs[0], order), *CLIPPED[operator.kind])
    builder.put(operator.outputs[0], value, order)


def prelu(builder: Builder, operator: Operator) -> None:
    """PRELU: the slope has no batch axis, and broadcasts."""
    order = _order(builder, operator)
    source, slope = operator.inputs
    value = builder.one("PRelu", builder.real(source, order), builder.operand(slope, order))
    builder.put(operator.outputs[0], value, order)


def leaky_relu(builder: Builder, operator: Operator) -> None:
    """LEAKY_RELU (LeakyReluOptions)."""
    order = _order(builder, operator)
    value = builder.one("LeakyRelu", builder.real(operator.inputs[0], order), alpha=operator.real(0))
    builder.put(operator.outputs[0], value, order)


def softmax(builder: Builder, operator: Operator) -> None:
    """SOFTMAX (SoftmaxOptions) of beta times the input, along the last axis."""
    order = _order(builder, operator)
    value, beta = builder.real(operator.inputs[0], order), operator.real(0)
    if not order:
        raise builder.error("takes a single number")
    if beta != 1.0:
        value = builder.one("Mul", value, builder.weight(np.asarray(beta, np.float32)))
    value = builder.one("Softmax", value, axis=order.index(len(order) - 1))
    builder.put(operator.outputs[0], value, order)


def _order(builder: Builder, operator: Operator) -> tuple[int, ...]:
    return builder.best_order(operator.inputs[:1], len(builder.shape(operator.inputs[0])))
