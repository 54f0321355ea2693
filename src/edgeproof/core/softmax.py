"""Logits to probabilities."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeproof.core.errors import UsageError


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities along the last axis.

    Arguments:
        logits: (..., k), finite.
        temperature: what they are divided by (Guo et al. 2017); above 1 makes the probabilities more even.

    Raises:
        UsageError: the temperature is not a finite number above 0.
    """
    if not 0.0 < temperature < math.inf:
        raise UsageError(
            f"The temperature is {temperature}.", hint="Give a number above 0; 1 changes nothing."
        )
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)))


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities along the last axis, each row summing to 1; see `log_softmax`."""
    return np.exp(log_softmax(logits, temperature))
