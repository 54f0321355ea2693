"""Operators that work on each element by itself, or along one axis."""

from __future__ import annotations

import math

import numpy as np

from edgeproof.formats.tflite.builder import NCHW, Builder
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
    "GREATER": ("Greater", False),
    "GREATER_EQUAL": ("GreaterOrEqual", False),
    "LESS": ("Less", False),
    "LESS_EQUAL": ("LessOrEqual", False),
    "EQUAL": ("Equal", False),
    "LOGICAL_AND": ("And", False),
    "LOGICAL_OR": ("Or", False),
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
    "ROUND": "Round",
    "SIN": "Sin",
    "COS": "Cos",
    "LOGICAL_NOT": "Not",
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


def rsqrt(builder: Builder, operator: Operator) -> None:
    """RSQRT: 1 by the root."""
    order = _order(builder, operator)
    root = builder.one("Sqrt", builder.real(operator.inputs[0], order))
    builder.put(operator.outputs[0], builder.one("Reciprocal", root), order)


def gelu(builder: Builder, operator: Operator) -> None:
    """GELU (GeluOptions), exact or with tanh: x / 2 (1 + erf(x / sqrt(2))), Hendrycks and Gimpel 2016."""

    def number(value: float) -> str:
        return builder.weight(np.asarray(value, np.float32))

    order = _order(builder, operator)
    value = builder.real(operator.inputs[0], order)
    if operator.small(0):
        cube = builder.one(
            "Mul", builder.one("Mul", builder.one("Mul", value, value), value), number(0.044715)
        )
        inner = builder.one("Mul", builder.one("Add", value, cube), number(math.sqrt(2 / math.pi)))
        part = builder.one("Tanh", inner)
    else:
        part = builder.one("Erf", builder.one("Mul", value, number(math.sqrt(0.5))))
    half = builder.one("Mul", value, number(0.5))
    value = builder.one("Mul", half, builder.one("Add", part, number(1.0)))
    builder.put(operator.outputs[0], value, order)


def select(builder: Builder, operator: Operator) -> None:
    """SELECT_V2, which broadcasts as numpy does, and SELECT, whose condition is of its operands' shape or a number."""
    condition, *others = operator.inputs
    rank = len(builder.shape(operator.outputs[0]))
    if operator.kind == "SELECT" and len(builder.shape(condition)) not in (0, rank):
        raise builder.error(
            "chooses whole rows, which isn't read", "Use SELECT_V2, with a condition of full rank."
        )
    order = builder.best_order(others, rank)
    values = [builder.operand(number, order) for number in operator.inputs]
    builder.put(operator.outputs[0], builder.one("Where", *values), order)


def softmax(builder: Builder, operator: Operator) -> None:
    """SOFTMAX (SoftmaxOptions) of beta times the input, and LOG_SOFTMAX, along the last axis."""
    order = _order(builder, operator)
    plain = operator.kind == "LOG_SOFTMAX"
    value, beta = builder.real(operator.inputs[0], order), 1.0 if plain else operator.real(0)
    if not order:
        raise builder.error("takes a single number")
    if beta != 1.0:
        value = builder.one("Mul", value, builder.weight(np.asarray(beta, np.float32)))
    kind = "LogSoftmax" if plain else "Softmax"
    value = builder.one(kind, value, axis=order.index(len(order) - 1))
    builder.put(operator.outputs[0], value, order)


def local_response(builder: Builder, operator: Operator) -> None:
    """LOCAL_RESPONSE_NORMALIZATION (radius, bias, alpha, beta) over channels; ONNX divides alpha by the size."""
    radius = operator.integer(0)
    if not 0 <= radius <= 1 << 16:
        raise builder.error(f"has the radius {radius}")
    size, value = 2 * radius + 1, builder.real(operator.inputs[0], NCHW)
    bias, alpha, beta = (operator.real(slot) for slot in (1, 2, 3))
    value = builder.one("LRN", value, size=size, bias=bias, alpha=alpha * size, beta=beta)
    builder.put(operator.outputs[0], value, NCHW)


def _order(builder: Builder, operator: Operator) -> tuple[int, ...]:
    return builder.best_order(operator.inputs[:1], len(builder.shape(operator.inputs[0])))
