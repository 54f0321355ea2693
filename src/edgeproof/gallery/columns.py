"""Embeddings in memory, laid out for scanning: exact float32, or int8 with a proven bound of its error."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Rows in one block. A block of int8 unpacks to a buffer that stays in a processor's L2 cache (512 KB at 128-D).
_BLOCK = 1024
_LEVELS = 127


class Columns(Protocol):
    """Rows of unit length that can be scanned.

    Attributes:
        exact: whether `best` gives the true similarities, so that nothing need be computed again.
    """

    exact: bool

    def __len__(self) -> int: ...

    def add(self, rows: Floats) -> None:
        """Append (n, D) rows."""

    def keep(self, places: NDArray[np.intp]) -> None:
        """Drop all rows but these, given in rising order."""

    def best(self, query: Floats, count: int) -> Best:
        """The `count` rows most similar to (D,) `query` of unit length, best first."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the rows take."""


class Best(NamedTuple):
    """Rows found: their places, their similarities, and how far any similarity may be from the true one."""

    places: NDArray[np.intp]
    similarities: Floats
    error: float


def top(similarities: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """The highest `count` of (N,), best first; among equals the earlier first."""
    if count < len(similarities):
        # Never a full sort, and no partition of all either: first the best of each group of 128, which is one
        # vectorised pass; only what reaches the count-th best of those can be among the best.
        places = np.flatnonzero(similarities >= _floor(similarities, count))
    else:
        places = np.arange(len(similarities))
    order = np.argsort(-similarities[places], kind="stable")[:count]
    places = places[order]
    return places, similarities[places]


def _floor(similarities: Floats, count: int) -> float:
    groups = len(similarities) // 128
    if groups <= count:
        return float(np.partition(similarities, -count)[-count])
    best = similarities[: groups * 128].reshape(128, groups).max(axis=0)
    return float(np.partition(best, -count)[-count])


class FloatColumns:
    """float32, each block stored (D, rows): reading along rows is a third faster than along dimensions."""

    exact = True

    def __init__(self, dimensions: int) -> None:
        self._dimensions, self._rows = dimensions, 0
        self._blocks: list[Floats] = []

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def add(self, rows: Floats) -> None:
        while len(rows):
            used = self._rows % _BLOCK
            if not used:
                self._blocks.append(np.zeros((self._dimensions, _BLOCK), np.float32))
            taken = rows[: _BLOCK - used]
            self._blocks[-1][:, used : used + len(taken)] = taken.T
            self._rows += len(taken)
            rows = rows[len(taken) :]

    def keep(self, places: NDArray[np.intp]) -> None:
        old, self._blocks, self._rows = self._blocks, [], 0
        for number in range(len(old)):
            mine = places[(places >= number * _BLOCK) & (places < (number + 1) * _BLOCK)] - number * _BLOCK
            self.add(old[number][:, mine].T)
            old[number].fill(0)  # who was forgotten doesn't wait in freed memory

    def best(self, query: Floats, count: int) -> Best:
        found = np.empty(len(self._blocks) * _BLOCK, np.float32)
        for number, block in enumerate(self._blocks):
            np.dot(query, block, out=found[number * _BLOCK : (number + 1) * _BLOCK])
        return Best(*top(found[: self._rows], count), 0.0)


class ByteColumns:
    """int8 with a scale per row: a quarter of the memory.

    A row r is kept as s * k, k whole numbers of -127 to 127 and s = max|r| / 127. For a query q of length 1
    the similarity is off by |q . (r - s k)| <= ||r - s k|| (Cauchy and Schwarz), and that length is known
    exactly when the row is added: the error is the largest of all rows.
    """

    exact = False

    def __init__(self, dimensions: int) -> None:
        self._dimensions, self._rows = dimensions, 0
        self._blocks: list[NDArray[np.int8]] = []
        self._scales = np.empty(0, np.float32)
        self._errors = np.empty(0, np.float32)

    def __len__(self) -> int:
        return self._rows

    def _error(self) -> float:
        # Float32 sums of D products are themselves off by at most about D * 2^-24.
        return float(self._errors[: self._rows].max(initial=0)) + self._dimensions * 2.0**-23

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self._blocks) + self._scales.nbytes + self._errors.nbytes

    def add(self, rows: Floats) -> None:
        while len(rows):
            used = self._rows % _BLOCK
            if not used:
                self._blocks.append(np.zeros((_BLOCK, self._dimensions), np.int8))
                self._scales = np.concatenate([self._scales, np.zeros(_BLOCK, np.float32)])
                self._errors = np.concatenate([self._errors, np.zeros(_BLOCK, np.float32)])
            taken = rows[: _BLOCK - used]
            numbers, scales, errors = quantised(taken)
            end = self._rows + len(taken)
            self._blocks[-1][used : used + len(taken)] = numbers
            self._scales[self._rows : end], self._errors[self._rows : end] = scales, errors
            self._rows = end
            rows = rows[len(taken) :]

    def keep(self, places: NDArray[np.intp]) -> None:
        blocks = [self._blocks[place // _BLOCK][place % _BLOCK] for place in places]
        room = -(-len(places) // _BLOCK) * _BLOCK
        kept = np.zeros((room, self._dimensions), np.int8)
        if blocks:
            np.stack(blocks, out=kept[: len(places)])
        for block in self._blocks:
            block.fill(0)
        self._blocks = list(kept.reshape(-1, _BLOCK, self._dimensions))
        self._scales = _padded(self._scales[places], room)
        self._errors = _padded(self._errors[places], room)
        self._rows = len(places)

    def best(self, query: Floats, count: int) -> Best:
        found = np.empty(len(self._blocks) * _BLOCK, np.float32)
        buffer = np.empty((_BLOCK, self._dimensions), np.float32)
        for number, block in enumerate(self._blocks):
            np.copyto(buffer, block)
            np.dot(buffer, query, out=found[number * _BLOCK : (number + 1) * _BLOCK])
        found *= self._scales
        return Best(*top(found[: self._rows], count), self._error())


def quantised(rows: Floats, scale: float | None = None) -> tuple[NDArray[np.int8], Any, Floats]:
    """(n, D) rows as int8, the scale of each (or the one given), and how far each is off, as a length."""
    scales: Any = np.maximum(np.abs(rows).max(axis=1), 1e-12) / _LEVELS if scale is None else scale
    column = scales[:, None] if scale is None else scales
    numbers = np.rint(rows / column).clip(-_LEVELS, _LEVELS)
    errors = np.linalg.norm(rows - numbers * column, axis=1).astype(np.float32)
    return numbers.astype(np.int8), scales, errors


def _padded(values: Floats, length: int) -> Floats:
    return np.concatenate([values, np.zeros(length - len(values), np.float32)])
