"""A histogram that grows its range, not its memory, and the clipping ranges read from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.tensor import Array

# Where the search for the best clipping range looks: 1 % to 100 % of the extremes.
_CANDIDATES = np.linspace(0.01, 1.0, 100)
_STEPS = 255  # between the 256 levels of 8 bits


class Histogram:
    """Counts of values in equal bins on both sides of zero.

    The width of a bin is a power of two, and zero is an edge: so when a value lies outside, merging bins two
    by two gives exactly the counts that wider bins would have had from the start.

    Arguments:
        bins: on each side of zero; even.

    Raises:
        InputError: `bins` is odd or under 2.

    Attributes:
        counts: int64 (2 * bins,), from the most negative bin up.
        width: of one bin.
        zeros: how many values were exactly 0 (they are in `counts` too).
        low, high: the extremes seen; 0 before any value, and never beyond 0.
    """

    def __init__(self, bins: int = 2048) -> None:
        if bins < 2 or bins % 2:
            raise InputError(f"bins is {bins}.", hint="Expected an even number of 2 or more, such as 2048.")
        self.bins = bins
        self.counts: NDArray[np.int64] = np.zeros(2 * bins, np.int64)
        self.width = 2.0**-100  # its inverse is still a float32
        self.zeros = 0
        self.low = self.high = 0.0

    def add(self, values: Array) -> None:
        """Count `values`: finite float32 or float64, of any shape."""
        flat = np.ravel(values)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        while self.high >= self.bins * self.width or self.low < -self.bins * self.width:
            self._widen()
        # Scaling by a power of two is exact. Where nothing is negative, conversion rounds down as floor does.
        scaled = np.multiply(flat, 1.0 / self.width, dtype=flat.dtype)
        places = (np.floor(scaled, out=scaled) if low < 0 else scaled).astype(np.intp)
        places += self.bins
        self.counts += np.bincount(places, minlength=2 * self.bins)
        self.zeros += int(flat.size - np.count_nonzero(flat))

    def _widen(self) -> None:
        merged = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.zeros(2 * self.bins, np.int64)
        self.counts[self.bins // 2 : self.bins // 2 + self.bins] = merged
        self.width *= 2

    def minmax(self) -> tuple[float, float]:
        """The extremes, with 0 between them."""
        return self.low, self.high

    def percentile(self, percent: float) -> tuple[float, float]:
        """The range that leaves out (100 - percent) / 2 % of the values at each end, with 0 inside."""
        left_out = (1.0 - percent / 100.0) / 2.0
        edges: NDArray[np.float64] = np.arange(-self.bins, self.bins + 1, dtype=np.float64) * self.width
        below = np.zeros(len(edges), np.float64)
        below[1:] = np.cumsum(self.counts) / max(int(self.counts.sum()), 1)
        # Where a run of bins is empty `below` stands still; start from its last such edge at the low end and
        # from its first at the high end, so that the range is the narrowest.
        first = int(np.searchsorted(below, left_out, side="right")) - 1
        last = int(np.searchsorted(below, 1.0 - left_out, side="left"))
        low = self._inside(edges, below, first, left_out)
        high = self._inside(edges, below, last - 1, 1.0 - left_out)
        return min(max(low, self.low), 0.0), max(min(high, self.high), 0.0)

    @staticmethod
    def _inside(edges: NDArray[np.float64], below: NDArray[np.float64], place: int, share: float) -> float:
        place = min(max(place, 0), len(edges) - 2)
        step = below[place + 1] - below[place]
        part = (share - below[place]) / step if step > 0 else 0.0
        return float(edges[place] + part * (edges[place + 1] - edges[place]))

    def mse(self) -> tuple[float, float]:
        """The range with the least expected squared error when quantised to 8 bits, 0 a level of its own.

        Error = sum over what is clipped of (x - edge)^2, plus scale^2 / 12 for each value inside that is not
        0 (Banner et al. 2019, "Post training 4-bit quantization", arXiv:1810.05723, equations 3 to 5).
        """
        lows, highs = self.low * _CANDIDATES, self.high * _CANDIDATES
        if self.low == 0.0:
            lows = np.zeros(1)
        if self.high == 0.0:
            highs = np.zeros(1)
        used = np.flatnonzero(self.counts)
        centres = (used - self.bins + 0.5) * self.width
        counts = self.counts[used].astype(np.float64)
        counts[used == self.bins] -= self.zeros
        under = np.maximum(lows[:, None] - centres, 0.0)
        over = np.maximum(centres - highs[:, None], 0.0)
        clipped = (under**2 @ counts)[:, None] + over**2 @ counts
        inside = counts.sum() - ((under > 0) @ counts)[:, None] - (over > 0) @ counts
        rounded = inside * ((highs - lows[:, None]) / _STEPS) ** 2 / 12.0
        row, column = np.unravel_index(int(np.argmin(clipped + rounded)), clipped.shape)
        return float(lows[row]), float(highs[column])
