"""The exact answer from rows that are kept inexactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeproof.gallery.columns import ByteColumns, top
from edgeproof.gallery.faiss_columns import FaissColumns, has_faiss
from edgeproof.gallery.index import Index
from gallery.people import vectors

_KINDS = ("float32", "int8", *(("faiss",) if has_faiss() else ()))


class Known:
    """Rows that an index asks for again, and how many it asked for."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.rows, self.asked = rows, 0

    def fetch(self, templates: Sequence[int]) -> NDArray[np.float32]:
        self.asked += len(templates)
        return self.rows[np.asarray(templates, int)]


def _brute(
    rows: NDArray[np.float32], people: NDArray[np.int64], query: NDArray[np.float32], count: int
) -> list[float]:
    similar = rows @ query
    best = [similar[people == person].max() for person in np.unique(people)]
    return sorted(map(float, best), reverse=True)[:count]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 3000),
    people=st.integers(1, 400),
    dimensions=st.sampled_from([2, 16, 128]),
    count=st.integers(1, 12),
    spread=st.sampled_from([1.0, 0.05, 0.001, 0.0]),
    gone=st.floats(0, 1),
    kind=st.sampled_from(_KINDS),
)
def test_the_nearest_people_are_exact(
    seed: int, rows: int, people: int, dimensions: int, count: int, spread: float, gone: float, kind: str
) -> None:
    random = np.random.default_rng(seed)
    # A small spread puts all rows closer together than int8 can tell.
    made = random.standard_normal(dimensions) + spread * random.standard_normal((rows, dimensions))
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    owners = random.integers(0, people, rows)
    known = Known(made)
    index = Index(dimensions, kind, known.fetch)
    for start in range(0, rows, 700):
        part = slice(start, start + 700)
        index.add(list(range(rows))[part], owners[part].tolist(), made[part])
    left = np.ones(rows, bool)
    left[: int(gone * rows)] = False
    if not left.all():
        leaving = np.unique(owners[~left])[: people // 2]
        left &= ~np.isin(owners, leaving)
        left[: int(gone * rows) // 2] = False
        index.remove(people=leaving.tolist(), templates=list(range(int(gone * rows) // 2)))
        left = ~np.isin(owners, leaving)
        left[: int(gone * rows) // 2] = False
    query = made[random.integers(rows)] if seed % 2 else vectors(1, 128, seed)[0][:dimensions].copy()
    query /= np.linalg.norm(query)
    found = index.nearest(query, count)
    assert len(index) == left.sum()
    assert len({one.person for one in found}) == len(found)
    expected = _brute(made[left], owners[left], query, count)
    np.testing.assert_allclose([one.similarity for one in found], expected, atol=2e-6)


@pytest.mark.parametrize("kind", _KINDS)
def test_few_rows_are_read_again(kind: str) -> None:
    rows = vectors(30_000, 64)
    known = Known(rows)
    index = Index(64, kind, known.fetch)
    for start in range(0, len(rows), 1000):
        part = range(start, start + 1000)
        index.add(part, part, rows[start : start + 1000])
    assert index.nearest(rows[17], 2)[0].person == 17
    assert known.asked <= (0 if kind == "float32" else 300)


@pytest.mark.parametrize("kind", [kind for kind in _KINDS if kind != "float32"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 1500), dimensions=st.sampled_from([1, 3, 64, 512]))
def test_the_bound_of_int8_holds(kind: str, seed: int, rows: int, dimensions: int) -> None:
    made, query = vectors(rows, dimensions, seed), vectors(1, dimensions, seed + 1)[0]
    columns = ByteColumns(dimensions) if kind == "int8" else FaissColumns(dimensions)
    columns.add(made)
    places, found, error = columns.best(query, rows)
    assert float(np.abs(found - made[places] @ query).max()) <= error < 0.05


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=4000)
    | st.integers(1, 6000).map(lambda n: [0.5] * n),
    count=st.integers(1, 300),
)
def test_top_is_a_sort(values: list[float], count: int) -> None:
    similar = np.array(values, np.float32)
    places, best = top(similar, count)
    assert places.tolist() == np.argsort(-similar, kind="stable")[:count].tolist()
    assert best.tolist() == similar[places].tolist()


@pytest.mark.parametrize("kind", _KINDS)
def test_nobody_is_near_where_nobody_is_left(kind: str) -> None:
    rows = vectors(3, 128, 1)
    index = Index(128, kind, Known(rows).fetch)
    assert index.nearest(rows[0], 5) == []
    index.add([0, 1, 2], [7, 8, 9], rows)
    index.remove(people=[7, 8, 9])
    assert index.nearest(rows[0], 5) == []
