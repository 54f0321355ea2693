"""Layers that shift and scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeproof.core.tensor import Array
from edgeproof.formats.keras.graph import Builder, Value, shown
from edgeproof.formats.keras.network import Layer

_LEAST = 1e-7  # keras.config.epsilon(), by which Normalization bounds its divisor


def batch_normalization(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """BatchNormalization, with the values that training left."""
    (value,) = inputs
    rank, settings = len(value.shape), layer.settings
    if settings.flag("renorm", False):
        raise builder.error("renormalises batches, which isn't read")
    given = settings.table.get("axis", -1)
    axis = given[0] if isinstance(given, list) and len(given) == 1 else given
    if not isinstance(axis, int) or not -rank <= axis < rank or axis % rank == 0:
        raise builder.error(f"goes along axis {given} of {shown(value.shape)}")
    axis %= rank
    size = value.shape[axis]
    if size is None:
        raise builder.error("normalises an axis whose size isn't known")
    order = (0, axis, *(at for at in range(1, rank) if at != axis))
    parts = [
        _part(builder, layer, size, "gamma", "scale", 1.0),
        _part(builder, layer, size, "beta", "center", 0.0),
    ]
    fixed = ("moving_mean", "moving_variance")
    parts += [builder.parameter(slot, builder.own(slot, [size])) for slot in fixed]
    epsilon = settings.number("epsilon", 1e-3)
    name = builder.one("BatchNormalization", builder.get(value, order), *parts, epsilon=epsilon)
    return builder.put(name, value.shape, order)


def _part(builder: Builder, layer: Layer, size: int, slot: str, flag: str, default: float) -> str:
    if layer.settings.flag(flag, True):
        return builder.parameter(slot, builder.own(slot, [size]))
    return builder.filled(slot, size, default)


def layer_normalization(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """LayerNormalization over the last axis."""
    (value,) = inputs
    rank, settings = len(value.shape), layer.settings
    if settings.flag("rms_scaling", False):
        raise builder.error("scales by the root mean square, which isn't read")
    axes = settings.integers("axis", low=-rank, high=rank - 1) if settings.has("axis") else [-1]
    size = value.shape[-1]
    if [axis % rank for axis in axes] != [rank - 1] or size is None:
        raise builder.error(
            f"normalises the axes {axes} of {shown(value.shape)}", "Only the last axis is read."
        )
    parts = [_part(builder, layer, size, "gamma", "scale", 1.0)]
    if settings.flag("center", True):
        parts.append(_part(builder, layer, size, "beta", "center", 0.0))
    epsilon = settings.number("epsilon", 1e-3)
    name = builder.one("LayerNormalization", builder.get(value), *parts, axis=-1, epsilon=epsilon)
    return builder.put(name, value.shape)


def rescaling(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Rescaling: times `scale`, plus `offset`; each one number, or one for each place of the last axis."""
    (value,) = inputs
    scale, offset = (
        np.asarray(layer.settings.numbers(name) if layer.settings.has(name) else [default], np.float32)
        for name, default in (("scale", 1.0), ("offset", 0.0))
    )
    return _scaled(builder, value, scale, offset, len(value.shape) - 1)


def layer_scale(builder: Builder, _: Layer, inputs: Sequence[Value]) -> Value:
    """LayerScale of ConvNeXt: each channel times a number that was learnt (arxiv.org/abs/2201.03545)."""
    (value,) = inputs
    gamma = np.asarray(builder.own("gamma", [value.shape[-1]]), np.float32)
    return _scaled(builder, value, gamma, np.zeros(1), len(value.shape) - 1)


def normalization(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Normalization: (x - mean) / max(sqrt(variance), 1e-7), or back with `invert`."""
    (value,) = inputs
    rank, settings = len(value.shape), layer.settings
    axes = settings.integers("axis", low=-rank, high=rank - 1) if settings.has("axis") else []
    if len(axes) > 1 or 0 in axes:
        raise builder.error(
            f"keeps statistics for the axes {axes} of {shown(value.shape)}", "One axis is read."
        )
    axis = axes[0] % rank if axes else rank - 1
    size = value.shape[axis] if axes else 1
    if settings.has("mean"):
        mean, variance = (np.asarray(settings.numbers(name), np.float64) for name in ("mean", "variance"))
    else:
        mean, variance = (np.asarray(builder.own(slot), np.float64).ravel() for slot in ("mean", "variance"))
    if mean.shape != variance.shape or mean.size not in (1, size) or not (variance >= 0).all():
        raise builder.error(f"has {mean.size} means and {variance.size} variances for {shown(value.shape)}")
    deviation = np.maximum(np.sqrt(variance), _LEAST)
    if settings.flag("invert", False):
        return _scaled(builder, value, deviation, mean, axis)
    return _scaled(builder, value, 1 / deviation, -mean / deviation, axis)


def _scaled(builder: Builder, value: Value, scale: Array, offset: Array, axis: int) -> Value:
    rank = len(value.shape)
    order = builder.best_order([value], rank)
    name = builder.get(value, order)
    for kind, numbers, nothing in (("Mul", scale, 1.0), ("Add", offset, 0.0)):
        if numbers.size not in (1, value.shape[axis]):
            raise builder.error(f"has {numbers.size} numbers for axis {axis} of {shown(value.shape)}")
        if (numbers == nothing).all():
            continue
        shape = [1] * rank if numbers.size > 1 else []
        if numbers.size > 1:
            shape[order.index(axis)] = numbers.size
        name = builder.one(kind, name, builder.weight(numbers.reshape(shape).astype(np.float32)))
    return builder.put(name, value.shape, order)
