"""Where the warm-up ends."""

from __future__ import annotations

import numpy as np

from edgeproof.measure.statistics import Values

_BATCH = 5


def steady_from(values: Values) -> int | None:
    """The index from which a series is steady; None where it is not within its first half.

    MSER-5 (White 1997, "An effective truncation heuristic for bias reduction in simulation output"; Franklin and
    White 2008): over means of five, drop the first d such that the squared error of the mean of the rest,
    sum (y - mean)^2 / (n - d)^2, is least. A least one in the second half means that it never settled.

    Arguments:
        values: (n,) in order.
    """
    count = len(values) // _BATCH
    if count < 4:
        return None
    # One stall must not look like the end of the warm-up: what lies above nine tenths of all is held there.
    held = np.minimum(values, np.quantile(values, 0.9))
    means = held[: count * _BATCH].reshape(count, _BATCH).mean(axis=1)
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    errors = np.maximum(squares - sums**2 / left, 0) / left.astype(np.float64) ** 2
    # The last few are few enough to agree by chance.
    best = int(np.argmin(errors[: count - max(3, count // 20)]))
    return best * _BATCH if best <= count // 2 else None
