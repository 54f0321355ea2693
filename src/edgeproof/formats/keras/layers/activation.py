"""Activations: by name, as a layer's own setting, or as layers of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgeproof.formats.keras.graph import Builder, Order, Value, shown
from edgeproof.formats.keras.network import Layer

# Takes the ONNX value and the place of the last axis in it; gives the ONNX value of the result.
_Function = Callable[[Builder, str, int], str]


def _clip(builder: Builder, name: str, low: float, high: float) -> str:
    return builder.one("Clip", name, builder.scalar(low), builder.scalar(high))


def _gelu(builder: Builder, name: str, _: int) -> str:
    # x / 2 * (1 + erf(x / sqrt(2))), arxiv.org/abs/1606.08415; both versions of Keras take this form by default.
    inner = builder.one("Erf", builder.one("Mul", name, builder.scalar(math.sqrt(0.5))))
    half = builder.one("Mul", name, builder.scalar(0.5))
    return builder.one("Mul", half, builder.one("Add", inner, builder.scalar(1.0)))


def _hard_sigmoid(builder: Builder, name: str, _: int) -> str:
    # Keras 3: relu6(x + 3) / 6; before: clip(0.2 x + 0.5).
    return builder.one("HardSigmoid", name, alpha=1 / 6 if builder.keras >= 3 else 0.2, beta=0.5)


def _silu(builder: Builder, name: str, _: int) -> str:
    return builder.one("Mul", name, builder.one("Sigmoid", name))


def _mish(builder: Builder, name: str, _: int) -> str:
    return builder.one("Mul", name, builder.one("Tanh", builder.one("Softplus", name)))


def _plain(kind: str, **attributes: float) -> _Function:
    return lambda builder, name, _: builder.one(kind, name, **attributes)


ACTIVATIONS: dict[str, _Function] = {
    "linear": lambda _builder, name, _last: name,
    "relu": _plain("Relu"),
    "relu6": lambda builder, name, _: _clip(builder, name, 0.0, 6.0),
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "softmax": lambda builder, name, last: builder.one("Softmax", name, axis=last),
    "log_softmax": lambda builder, name, last: builder.one("LogSoftmax", name, axis=last),
    "swish": _silu,
    "silu": _silu,
    "gelu": _gelu,
    "elu": _plain("Elu"),
    "selu": _plain("Selu"),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _plain("HardSwish"),
    "hard_silu": _plain("HardSwish"),
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "exponential": _plain("Exp"),
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "mish": _mish,
}


def apply(builder: Builder, value: Value, function: _Function, last: int | None = None) -> Value:
    """A function of each number, or along one axis (Keras' number for it, the last where none is given)."""
    rank = len(value.shape)
    order = builder.best_order([value], rank)
    place = order.index(rank - 1 if last is None else last)
    return builder.put(function(builder, builder.get(value, order), place), value.shape, order)


def activated(builder: Builder, layer: Layer, value: Value) -> Value:
    """What comes of a layer whose settings name an activation.

    Raises:
        ModelError: a function of the user's own.
    """
    given = layer.settings.table.get("activation", "linear")
    if isinstance(given, dict):  # an object with settings of its own: only its defaults are read
        config = given.get("config")
        plain = isinstance(config, str) or not config
        given = (config if isinstance(config, str) else given.get("class_name")) if plain else str(given)
    name = "linear" if given is None else str(given)
    if name == "linear":
        return value
    function = ACTIVATIONS.get(name)
    if function is None:
        raise builder.error(
            f"has the activation {name[:60]!r}, which isn't read",
            f"Known: {', '.join(sorted(ACTIVATIONS))}. A function of your own isn't in the file: use one of these.",
        )
    return apply(builder, value, function)


def activation(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Activation."""
    (value,) = inputs
    return activated(builder, layer, value)


def relu(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """ReLU: x over the threshold, `negative_slope` times (x - threshold) below, at most `max_value`."""
    (value,) = inputs
    settings = layer.settings
    most = settings.number("max_value", math.inf) if settings.has("max_value") else math.inf
    slope, threshold = settings.number("negative_slope", 0.0), settings.number("threshold", 0.0)

    def function(builder: Builder, name: str, _: int) -> str:
        if slope and not threshold and most == math.inf:
            return builder.one("LeakyRelu", name, alpha=slope)
        above = name
        if threshold:
            over = builder.one("Greater", name, builder.scalar(threshold))
            above = builder.one("Where", over, name, builder.scalar(0.0))
        if most != math.inf:
            above = _clip(builder, above, 0.0, most)
        elif not threshold:
            above = builder.one("Relu", above)
        if not slope:
            return above
        under = builder.one("Relu", builder.one("Sub", builder.scalar(threshold), name))
        return builder.one("Sub", above, builder.one("Mul", under, builder.scalar(slope)))

    return apply(builder, value, function)


def leaky_relu(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """LeakyReLU: `negative_slope` in Keras 3, `alpha` before."""
    (value,) = inputs
    name = "negative_slope" if layer.settings.has("negative_slope") else "alpha"
    return apply(builder, value, _plain("LeakyRelu", alpha=layer.settings.number(name, 0.3)))


def elu(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """ELU."""
    (value,) = inputs
    return apply(builder, value, _plain("Elu", alpha=layer.settings.number("alpha", 1.0)))


def prelu(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """PReLU: a slope for each number of a picture, of 1 along its `shared_axes`."""
    (value,) = inputs
    rank = len(value.shape)
    shared = layer.settings.integers("shared_axes", low=1) if layer.settings.has("shared_axes") else []
    wanted = [1 if axis in shared else value.shape[axis] for axis in range(1, rank)]
    order: Order = builder.best_order([value], rank)
    slope = builder.own("alpha", wanted).transpose([axis - 1 for axis in order[1:]])
    name = builder.one("PRelu", builder.get(value, order), builder.parameter(f"alpha{order}", slope))
    return builder.put(name, value.shape, order)


def softmax(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Softmax along `axis`."""
    (value,) = inputs
    rank = len(value.shape)
    axis = layer.settings.integer("axis", -1) if layer.settings.table.get("axis") != [-1] else -1
    if not -rank <= axis < rank or axis % rank == 0:
        raise builder.error(f"goes along axis {axis} of {shown(value.shape)}")
    return apply(builder, value, ACTIVATIONS["softmax"], axis % rank)


def named(name: str) -> Callable[[Builder, Layer, Sequence[Value]], Value]:
    """The translator of a layer or operation that is one of `ACTIVATIONS`."""

    def function(builder: Builder, _: Layer, inputs: Sequence[Value]) -> Value:
        (value,) = inputs
        return apply(builder, value, ACTIVATIONS[name])

    return function
