"""Stages side by side: the order, the bounds, the errors in their place, and a clean end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import EngineError, NotAnImageError, UsageError
from edgeproof.streams.pipeline import Stage, each, run_pipeline


def left_over() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("edgeproof")]


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.integers(0, 99), max_size=40),
    threads=st.integers(1, 4),
    depth=st.integers(1, 3),
    batch=st.integers(1, 5),
    bad=st.sets(st.integers(0, 99)),
)
def test_it_gives_what_one_loop_after_the_other_gives(
    items: list[int], threads: int, depth: int, batch: int, bad: set[int]
) -> None:
    def double(value: int) -> int:
        if value in bad:
            raise NotAnImageError(f"bad {value}")
        return value * 2

    stages = [
        each("double", double),
        Stage("negate", lambda values: [-value for value in values], batch=lambda: batch),
        each("text", str, at_once=1),
    ]
    results = list(run_pipeline(items, stages, threads=threads, depth=depth))
    assert [result.index for result in results] == list(range(len(items)))
    assert [result.item for result in results] == items
    for result in results:
        if result.item in bad:
            assert (str(result.error), result.stage) == (f"bad {result.item}", "double")
        else:
            assert (result.value, result.error) == (str(-2 * result.item), None)
    assert not left_over()


def test_a_batch_that_holds_a_bad_value_gives_its_error_to_that_one_alone() -> None:
    def work(values: list[int]) -> list[Any]:
        return [NotAnImageError("no") if value == 1 else value for value in values]

    results = list(run_pipeline(range(4), [Stage("look", work, batch=lambda: 4)]))
    assert [result.value for result in results] == [0, None, 2, 3]
    assert isinstance(results[1].error, NotAnImageError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("by zero"), "'look' met ZeroDivisionError: by zero"),
        (MemoryError(), "not enough memory to look"),
    ],
)
def test_an_error_that_nobody_expected_names_its_stage(error: Exception, words: str) -> None:
    def work(value: int) -> int:
        raise error

    (result,) = run_pipeline([1], [each("look", work)])
    assert isinstance(result.error, EngineError)
    assert words in str(result.error)


def test_a_stage_that_loses_answers_is_found_out() -> None:
    (result,) = run_pipeline([1], [Stage("look", lambda values: [])])
    assert "0 answers to 1" in str(result.error)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"depth": 0}, {"stages": []}])
def test_a_pipeline_of_nothing_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run_pipeline([1], **({"stages": [each("a", str)]} | wrong))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_what_is_taken_ahead_is_bounded_while_the_first_item_hangs(depth: int) -> None:
    """The others are finished and wait for it: without a bound they would pile up."""
    go, full = threading.Event(), threading.Event()
    taken = 0
    most = depth * 2 + 2 * 3

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(200):
            taken += 1
            if taken == most:
                full.set()
            yield item

    def work(item: int) -> int:
        if item == 0:
            assert go.wait(10)
        return item

    results = run_pipeline(items(), [each("a", work), each("b", int)], threads=3, depth=depth)
    waiting = threading.Thread(target=lambda: (full.wait(10), go.set()))
    waiting.start()
    assert next(results).value == 0
    waiting.join()
    assert full.is_set()
    seen = 1
    for _ in results:
        seen += 1
        assert taken - seen <= most
    assert seen == 200


def test_as_many_calls_run_at_once_as_a_stage_allows() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work(value: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return value

    assert (
        len(list(run_pipeline(range(100), [each("a", int), each("one", work, at_once=1)], threads=4))) == 100
    )
    assert most == 1


def test_an_error_of_the_source_comes_after_what_was_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    results = run_pipeline(items(), [each("a", int)])
    assert [next(results).value, next(results).value] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(results)
    assert not left_over()


def test_a_consumer_that_stops_early_leaves_no_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    results = run_pipeline(items(), [each("a", int), each("b", int)], threads=3)
    assert [next(results).value for _ in range(3)] == [0, 1, 2]
    results.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert not left_over()


def test_stop_takes_no_more_and_gives_out_what_was_taken() -> None:
    stop = threading.Event()
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10_000):
            taken.append(item)
            yield item

    values = []
    for result in run_pipeline(items(), [each("a", int), each("b", int)], stop=stop):
        values.append(result.value)
        if result.index == 5:
            stop.set()
    assert len(taken) < 100
    # One may have been asked for at the very moment, and not admitted: all the others come out.
    assert values in (taken, taken[:-1])
    assert not left_over()


def test_a_source_that_waits_is_told_when_the_pipeline_ends() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert stop.wait(10)  # as a camera that gives no frame any more

    results = run_pipeline(items(), [each("a", int)], stop=stop)
    assert next(results).value == 1
    results.close()  # type: ignore[attr-defined]
    assert not left_over()


def test_ctrl_c_in_the_consumer_ends_every_thread() -> None:
    def interrupted() -> None:
        for result in run_pipeline(range(1000), [each("a", int)]):
            if result.index == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not left_over()


@settings(max_examples=30, deadline=None)
@given(costs=st.lists(st.floats(0, 12), max_size=30), threads=st.integers(1, 4))
def test_costs_in_flight_stay_within_the_limit_but_one_alone_goes(costs: list[float], threads: int) -> None:
    lock, now, worst = threading.Lock(), [0.0, 0], 0.0

    def begin(index: int) -> int:
        nonlocal worst
        with lock:
            now[0] += costs[index]
            now[1] += costs[index] > 0
            if now[1] > 1:
                worst = max(worst, now[0])
        return index

    def end(index: int) -> int:
        with lock:
            now[0] -= costs[index]
            now[1] -= costs[index] > 0
        return index

    results = run_pipeline(
        range(len(costs)),
        [each("begin", begin), each("end", end)],
        threads=threads,
        cost=lambda index: costs[index],
        most_cost=10,
    )
    assert [result.value for result in results] == list(range(len(costs)))
    assert worst <= 10 + 1e-6
