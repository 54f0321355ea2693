"""An ordered map over threads: in order, bounded, and clean when it ends early."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.streams.ordered import map_ordered


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(0, 6))
def test_answers_come_in_the_order_of_the_items(items: list[int], workers: int) -> None:
    assert list(map_ordered(lambda item: item * 2, items, workers=workers)) == [item * 2 for item in items]


def test_the_order_holds_when_later_items_are_done_first() -> None:
    later_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later_done.wait(10)
        if item == 1:
            later_done.set()
        return item

    assert list(map_ordered(work, range(4), workers=2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_than_twice_the_workers_are_taken_ahead(workers: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(100):
            taken += 1
            yield item

    for given_back, _ in enumerate(map_ordered(lambda item: item, items(), workers=workers)):
        assert taken - given_back <= 2 * workers


@pytest.mark.parametrize("workers", [1, 3])
def test_a_consumer_that_stops_early_starts_nothing_more(workers: int) -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        return item

    answers = map_ordered(work, range(1000), workers=workers)
    assert [next(iter(answers)) for _ in range(3)] == [0, 1, 2]
    answers.close()  # type: ignore[attr-defined]
    done = len(started)
    assert done <= 3 + 2 * workers
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgeproof")]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_exception_comes_in_its_place_and_ends_it(workers: int, error: BaseException) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise error
        return item

    answers = iter(map_ordered(work, range(50), workers=workers))
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(type(error)):
        next(answers)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgeproof")]


def test_an_exception_of_the_source_ends_it_too() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(map_ordered(lambda item: item, items(), workers=3))


def test_nothing_is_taken_before_the_first_answer_is_asked_for() -> None:
    def items() -> Iterator[int]:
        raise AssertionError("taken too early")
        yield 0

    map_ordered(lambda item: item, items(), workers=2)
