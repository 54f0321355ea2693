"""A load that is always the same, so that runs made at different times can tell whether the machine was the same."""

from __future__ import annotations

import time

import numpy as np

_SIZE = 32_768  # float32: three of these fit the second-level cache of any processor that runs a network
_TIMES = 64
# Some 25 ms: what has slept is given a core for its first few milliseconds even on a machine full of others.
_REPEATS = 24


def reference_ms() -> float:
    """Milliseconds that one thread takes for a fixed sum of products, the mean of 24 in a row; about 1 on a PC."""
    one = np.linspace(0.1, 1, _SIZE, dtype=np.float32)
    other, product = one[::-1].copy(), np.empty_like(one)
    before = time.perf_counter_ns()
    for _ in range(_TIMES * _REPEATS):
        np.multiply(one, other, out=product)
        np.add(product, other, out=product)
    return (time.perf_counter_ns() - before) / 1e6 / _REPEATS
