"""Rows of several requests in one run: who meets is run together, and nobody's answer is another's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import InputError
from edgeproof.serve.batching import Batcher

# Long enough that no machine is too slow for those who have to meet: who has met doesn't wait for it.
_LONG_S = 30.0


def _doubled(rows: np.ndarray[Any, Any]) -> list[float]:
    return [float(row[0] * 2) for row in rows]


def _rows(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)[:, None]


def _together(batcher: Batcher, asked: Sequence[Sequence[float]]) -> list[list[float] | Exception]:
    """Each in a thread of its own; all are on their way before the first asks."""
    all_coming = threading.Barrier(len(asked))

    def one(values: Sequence[float]) -> list[float] | Exception:
        with batcher.coming():
            all_coming.wait(_LONG_S)
            try:
                return list(batcher.ask(_rows(*values)))
            except InputError as error:
                return error

    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(one, asked))


@pytest.fixture
def make() -> Callable[..., tuple[Batcher, list[tuple[int, int]]]]:
    def build(run: Any = _doubled, **more: Any) -> tuple[Batcher, list[tuple[int, int]]]:
        runs: list[tuple[int, int]] = []
        options = {"most": 4, "longest_wait_s": _LONG_S, **more}
        return Batcher(run, on_run=lambda rows, requests: runs.append((rows, requests)), **options), runs

    return build


def test_requests_that_meet_are_one_run(make: Any) -> None:
    batcher, runs = make()
    assert _together(batcher, [[1], [2, 3], [4]]) == [[2], [4, 6], [8]]
    assert runs == [(4, 3)]


def test_who_is_alone_does_not_wait(make: Any) -> None:
    batcher, runs = make(longest_wait_s=1e6)
    with batcher.coming():
        assert batcher.ask(_rows(1, 2)) == [2, 4]
    assert batcher.ask(_rows(5)) == [10]
    assert runs == [(2, 1), (1, 1)]


def test_nobody_waits_longer_than_stated_for_one_who_never_asks(make: Any) -> None:
    batcher, runs = make(longest_wait_s=0.001)
    ready, done = threading.Event(), threading.Event()

    def never_asks() -> None:
        with batcher.coming():
            ready.set()
            done.wait(_LONG_S)

    thread = threading.Thread(target=never_asks)
    thread.start()
    ready.wait(_LONG_S)
    assert batcher.ask(_rows(1)) == [2]
    done.set()
    thread.join(_LONG_S)
    assert runs == [(1, 1)]


def test_who_turns_back_is_not_waited_for(make: Any) -> None:
    batcher, runs = make(longest_wait_s=1e6)
    ready, asked = threading.Event(), threading.Event()

    def turns_back() -> None:
        with batcher.coming():
            ready.set()
            asked.wait(_LONG_S)

    thread = threading.Thread(target=turns_back)
    thread.start()
    ready.wait(_LONG_S)
    with ThreadPoolExecutor(1) as one:
        answer = one.submit(batcher.ask, _rows(1))
        asked.set()
        assert answer.result(_LONG_S) == [2]
    thread.join(_LONG_S)
    assert runs == [(1, 1)]


def test_a_batch_never_has_more_rows_than_allowed(make: Any) -> None:
    batcher, runs = make(most=4)
    asked = [[float(n), n + 0.5, n + 0.25] for n in range(5)]
    assert _together(batcher, asked) == [[2 * value for value in values] for values in asked]
    assert [rows for rows, _ in runs] == [3] * 5


def test_a_request_that_fails_does_not_fail_the_others(make: Any) -> None:
    def run(rows: np.ndarray[Any, Any]) -> list[float]:
        if (rows < 0).any():
            raise InputError("Negative.", hint="Give others.")
        return _doubled(rows)

    batcher, runs = make(run)
    good, bad, other = _together(batcher, [[1], [-1], [3]])
    assert (good, other) == ([2], [6])
    assert isinstance(bad, InputError)
    assert sorted(runs) == [(1, 1), (1, 1)]


def test_a_network_of_fixed_batch_is_never_waited_for(make: Any) -> None:
    batcher, runs = make(takes_batches=lambda: False, longest_wait_s=1e6)
    assert _together(batcher, [[1, 2], [3]]) == [[2, 4], [6]]
    assert runs == [(1, 1)] * 3


def test_many_threads_each_get_their_own_answers(make: Any) -> None:
    batcher, runs = make(longest_wait_s=0.0005)

    def one(number: int) -> bool:
        values = [float(number * 10 + part) for part in range(number % 4 + 1)]
        with batcher.coming():
            return list(batcher.ask(_rows(*values))) == [2 * value for value in values]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(400)))
    assert sum(rows for rows, _ in runs) == sum(number % 4 + 1 for number in range(400))
    assert max(rows for rows, _ in runs) <= 4
