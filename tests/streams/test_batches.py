"""Batches that fit the memory budget, on models of how memory behaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import UsageError
from edgeproof.streams.batches import BatchSize, resident_bytes

BUDGET = 1000.0


class Memory:
    """What a process has: a base, and so much for each of a batch; kept for good, as arenas do, or given back."""

    def __init__(self, base: float, each: float, *, kept: bool) -> None:
        self.base, self.each, self.kept, self.now, self.peak = base, each, kept, base, base

    def run(self, count: int) -> None:
        needed = self.base + self.each * count
        self.now = max(self.now, needed) if self.kept else needed
        self.peak = max(self.peak, self.now)

    def __call__(self) -> float:
        return self.now


@settings(max_examples=200, deadline=None)
@given(
    base=st.floats(0, 500),
    each=st.floats(0, 390),
    kept=st.booleans(),
    most=st.integers(1, 32),
    arriving=st.lists(st.integers(1, 40), min_size=1, max_size=300),
)
def test_the_budget_is_never_passed(
    base: float, each: float, kept: bool, most: int, arriving: list[int]
) -> None:
    memory = Memory(base, each, kept=kept)
    if base + each > BUDGET:
        return  # not even one fits: nothing that a batch size could do
    size = BatchSize(BUDGET, most=most, resident=memory)
    for count in arriving:
        batch = min(count, size.size)
        memory.run(batch)
        assert 1 <= size.went_well(batch) <= most
        assert memory.peak <= BUDGET


@pytest.mark.parametrize(
    ("base", "each", "kept", "least", "most"),
    [
        (100, 10, False, 32, 32),  # all fit
        (100, 50, False, 10, 12),  # grows while 100 + 50 n < 600
        (100, 50, True, 10, 12),
        (700, 10, False, 1, 1),  # above 60 % it stays as it is
        (590, 300, False, 1, 1),  # two would be 119 %: one is over 80 % already
    ],
)
def test_it_settles_where_the_budget_is_well_used(
    base: float, each: float, kept: bool, least: int, most: int
) -> None:
    memory = Memory(base, each, kept=kept)
    size = BatchSize(BUDGET, most=32, resident=memory)
    seen = []
    for _ in range(400):
        memory.run(size.size)
        size.went_well(size.size)
        seen.append(size.size)
    assert least <= seen[-1] <= most
    assert len(set(seen[-40:])) == 1  # it does not go back and forth


def test_it_shrinks_when_something_else_takes_the_memory_and_grows_again_later() -> None:
    memory = Memory(100, 30, kept=False)
    size = BatchSize(BUDGET, most=8, resident=memory)
    for _ in range(100):
        memory.run(size.size)
        size.went_well(size.size)
    assert size.size == 8
    memory.base = 700
    memory.run(8)
    assert size.went_well(8) == 4
    memory.base = 100
    for _ in range(200):
        memory.run(size.size)
        size.went_well(size.size)
    assert size.size == 8


def test_running_out_of_memory_halves_it() -> None:
    size = BatchSize(None, most=8)
    assert size.went_well(1) == 8  # no budget: as many as are wanted
    assert [size.failed() for _ in range(4)] == [4, 2, 1, 1]


def test_it_stays_at_one_where_memory_cannot_be_read(tmp_path: Path) -> None:
    size = BatchSize(BUDGET, resident=lambda: resident_bytes(tmp_path / "statm"))
    assert [size.went_well(1) for _ in range(20)] == [1] * 20


def test_resident_memory_is_read_from_the_system(tmp_path: Path) -> None:
    assert (resident_bytes() or 1e9) > 1e6
    (tmp_path / "statm").write_text("nonsense")
    assert resident_bytes(tmp_path / "statm") is None


@pytest.mark.parametrize(("budget", "most"), [(0, 1), (-5, 1), (float("nan"), 1), (None, 0)])
def test_nonsense_is_refused(budget: float | None, most: int) -> None:
    with pytest.raises(UsageError):
        BatchSize(budget, most=most)
