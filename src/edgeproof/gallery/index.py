"""Who is most like a face: the exact answer, from rows that may be kept inexactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.gallery.columns import ByteColumns, Columns, FloatColumns, Floats

# Above this many rows memory counts for more than the few rows that are read twice.
BYTES_FROM = 20_000
FAISS_FROM = 100_000
KINDS = ("float32", "int8", "faiss")

# Template numbers -> their embeddings (n, D), in the same order: read again where rows are kept inexactly.
Fetch = Callable[[Sequence[int]], Floats]


@dataclass(frozen=True)
class Near:
    """A person near a face: the person's number and the best similarity of their templates."""

    person: int
    similarity: float


def unit(embedding: Any, dimensions: int) -> Floats:
    """(D,) of any float dtype as float32 of length 1.

    Raises:
        InputError: another shape, numbers that are not finite, or all zeros.
    """
    vector = np.asarray(embedding)
    if vector.shape != (dimensions,) or vector.dtype.kind != "f":
        raise InputError(
            f"The embedding is {vector.dtype} {list(vector.shape)}.",
            hint=f"This gallery holds float [{dimensions}].",
        )
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length < 1e-6:
        raise InputError(
            "The embedding is all zeros or has numbers that are not finite.",
            hint="The network gave no usable answer for this face: check its file and the picture.",
        )
    return np.asarray(vector / length, np.float32)


class Index:
    """Rows of embeddings, each of a template of a person. Not thread-safe: the gallery takes turns.

    Arguments:
        dimensions: numbers in an embedding.
        kind: float32, int8 or faiss.
        fetch: reads embeddings again, for the kinds that keep them inexactly.
    """

    def __init__(self, dimensions: int, kind: str, fetch: Fetch) -> None:
        self.kind, self._fetch = kind, fetch
        self._columns = _columns(kind, dimensions)
        self._templates = np.empty(0, np.int64)
        self._people = np.empty(0, np.int64)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return self._columns.nbytes + self._templates.nbytes + self._people.nbytes

    def add(self, templates: Sequence[int], people: Sequence[int], embeddings: Floats) -> None:
        """Append rows: their numbers, whose they are, and (n, D) of unit length."""
        end = self._rows + len(templates)
        self._templates = _grown(self._templates, end)
        self._people = _grown(self._people, end)
        self._templates[self._rows : end], self._people[self._rows : end] = templates, people
        self._columns.add(embeddings)
        self._rows = end

    def remove(self, *, people: Sequence[int] = (), templates: Sequence[int] = ()) -> None:
        """Drop all rows of some people, and some rows."""
        used = slice(0, self._rows)
        gone = np.isin(self._people[used], people) | np.isin(self._templates[used], templates)
        if gone.any():
            places = np.flatnonzero(~gone)
            self._columns.keep(places)
            self._templates, self._people = self._templates[places], self._people[places]
            self._rows = len(places)

    def nearest(self, query: Floats, count: int) -> list[Near]:
        """The `count` people most like (D,) `query` of unit length, best first; fewer where there are fewer.

        Rows that are kept inexactly may be off by an error either way. The people who come first are computed again
        from their exact embeddings: nobody who truly belongs before the last of them can have been found to lie more
        than the error below that one. All who were found above are computed again too, so the answer is exact.
        """
        if not self._rows:
            return []
        wanted = max(8 * count, 256)
        while True:
            scanned = min(wanted, self._rows)
            places, similarities, error = self._columns.best(query, scanned)
            near = self._people_of(places, similarities, count)
            if self._columns.exact or not near:
                if scanned == self._rows or len(near) == count:
                    return near
            else:
                first = places[: self._reach(places, near)]
                known = self._fetch(self._templates[first].tolist()) @ query
                exact = self._people_of(first, known, count)
                floor = exact[-1].similarity - error if len(exact) == count else -np.inf
                if scanned == self._rows or float(similarities[-1]) <= floor:
                    rest = places[len(first) :][similarities[len(first) :] >= floor]
                    if len(rest):
                        known = np.append(known, self._fetch(self._templates[rest].tolist()) @ query)
                    return self._people_of(np.append(first, rest), known, count)
            wanted *= 4

    def _reach(self, places: NDArray[np.intp], near: list[Near]) -> int:
        """How many of the places it takes until all these people have come."""
        whose = self._people[places]
        return 1 + max(int(np.argmax(whose == one.person)) for one in near)

    def _people_of(self, places: NDArray[np.intp], similarities: Floats, count: int) -> list[Near]:
        best: dict[int, float] = {}
        for place in np.argsort(-similarities, kind="stable"):
            person = int(self._people[places[place]])
            if person not in best:
                best[person] = min(max(float(similarities[place]), -1.0), 1.0)  # rounding
                if len(best) == count:
                    break
        return [Near(person, similarity) for person, similarity in best.items()]


def _columns(kind: str, dimensions: int) -> Columns:
    if kind == "faiss":
        from edgeproof.gallery.faiss_columns import FaissColumns

        return FaissColumns(dimensions)
    return ByteColumns(dimensions) if kind == "int8" else FloatColumns(dimensions)


def _grown(values: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    if length <= len(values):
        return values
    grown = np.zeros(max(length, 2 * len(values), 64), np.int64)
    grown[: len(values)] = values
    return grown
