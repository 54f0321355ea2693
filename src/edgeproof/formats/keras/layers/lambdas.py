"""Lambda layers: Python functions, stored as bytecode. It is never loaded or run; known functions are written anew."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

from edgeproof.formats.keras.graph import Builder, Value, shown
from edgeproof.formats.keras.network import Layer
from edgeproof.formats.keras.settings import Settings

_HINT = (
    "It is a program, which isn't run. Build the network with Keras' own layers in its place, or end it before "
    "that layer (keras.Model(inputs, layer.input)) and do its step on the answers."
)
# SHA-256 of the bytecode of `merge_age` in the published age networks of SSR-Net.
_SSR_NET = frozenset({"2f0bd29c06ecfc0f2e1409b79e204d5ed83a363398aa119d37f7da5e24807fe1"})
# The ages that the published networks spread their answer over, 0 to 100.
_AGES = 101
_ARGUMENTS = {"s1", "s2", "s3", "lambda_local", "lambda_d"}


def function(builder: Builder, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Lambda: refused, unless it is a function that is known.

    Raises:
        ModelError: it is another one.
    """
    code = _bytecode(layer.settings)
    arguments = layer.settings.table.get("arguments")
    if isinstance(arguments, dict) and set(arguments) == _ARGUMENTS and len(inputs) == 9:
        known = hashlib.sha256(code).hexdigest() in _SSR_NET
        if known or b"merge_age" in code:
            if not known:
                builder.notes.append(
                    f"Layer {layer.name} is a Python function; by its name and what it takes it is SSR-Net's, and "
                    "that formula was written in its place. Compare some ages with the original."
                )
            return _soft_stagewise_age(builder, Settings(arguments, layer.settings.where), inputs)
    raise builder.error("holds a Python function, which isn't read", _HINT)


def _bytecode(settings: Settings) -> bytes:
    """The bytes of the stored function: text in Keras 1 and the first of 2, base64 since."""
    stored: Any = settings.table.get("function")
    if isinstance(stored, dict):
        config = stored.get("config")
        stored = config.get("code") if isinstance(config, dict) else None
    elif isinstance(stored, list):
        stored = stored[0] if stored else None
    if not isinstance(stored, str):
        return b""
    try:
        return base64.b64decode(stored.replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return stored.encode("raw_unicode_escape", errors="replace")


def _soft_stagewise_age(builder: Builder, settings: Settings, inputs: Sequence[Value]) -> Value:
    """The age that SSR-Net's three stages make together, (N, 1).

    Stage k has s_k bins with the weights p_k, each moved by its offset e_k, and widths scaled by d_k:
    age = 101 * sum over k of (sum over i of (i + lambda_local * e_k[i]) * p_k[i]) / product over j <= k of
    (s_j * (1 + lambda_d * d_j)).

    Source: Yang et al., SSR-Net: A Compact Soft Stagewise Regression Network for Age Estimation, IJCAI 2018,
    equations 3 to 6. As its public code has it, p_k are not made to sum to 1, and each row is one picture: the
    stored function itself mixes the rows of a batch.
    """
    weights, scales, offsets = inputs[:3], inputs[3:6], inputs[6:9]
    local, dynamic = settings.number("lambda_local", 1.0), settings.number("lambda_d", 1.0)
    width, age = "", ""
    for number, (weight, scale, offset) in enumerate(zip(weights, scales, offsets, strict=True), start=1):
        bins = settings.integer(f"s{number}", 3, low=1, high=1 << 10)
        if (weight.shape[1:], scale.shape[1:], offset.shape[1:]) != ((bins,), (1,), (bins,)):
            shapes = ", ".join(shown(value.shape) for value in (weight, scale, offset))
            raise builder.error(f"takes {shapes} for stage {number} of {bins} bins")
        step = builder.one("Mul", builder.get(scale), builder.scalar(dynamic * bins))
        step = builder.one("Add", step, builder.scalar(bins))
        width = builder.one("Mul", width, step) if width else step
        moved = builder.one("Mul", builder.get(offset), builder.scalar(local))
        moved = builder.one("Add", moved, builder.weight(builder.floats([list(range(bins))])))
        stage = builder.one(
            "ReduceSum", builder.one("Mul", moved, builder.get(weight)), builder.integers([1]), keepdims=1
        )
        part = builder.one("Div", stage, width)
        age = builder.one("Add", age, part) if age else part
    return builder.put(builder.one("Mul", age, builder.scalar(_AGES)), (inputs[0].shape[0], 1))
