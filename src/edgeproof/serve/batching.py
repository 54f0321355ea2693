"""Rows of several requests through one network as one batch, where they meet."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[Any]


@dataclass(eq=False)
class _Asked:
    rows: Rows
    done: threading.Event = field(default_factory=threading.Event)
    answer: Sequence[Any] | None = None  # None although done: it has to run by itself


class Batcher:
    """Has one network look at what several threads ask of it in the same moment.

    A request that is alone never waits. Of several the first to ask waits until those that are on their way have asked
    too, `longest_wait_s` at the most, and runs for all.

    Arguments:
        run: rows (N, ...) to a sequence of N answers, each of which depends on its own row only; called from several
            threads.
        most: rows in one run; a request with more is given in parts by whoever asks.
        takes_batches: whether rows together make one run; otherwise each is one, and nobody waits.
        longest_wait_s: seconds; 0 for every request by itself.
        on_run: called after each run with its rows, and the requests that they came from.
    """

    def __init__(
        self,
        run: Callable[[Rows], Any],
        *,
        most: int,
        takes_batches: Callable[[], bool] = lambda: True,
        longest_wait_s: float,
        on_run: Callable[[int, int], None] = lambda _rows, _requests: None,
    ) -> None:
        self._run, self._most, self._wait_s, self._on_run = run, most, longest_wait_s, on_run
        self._takes_batches = takes_batches
        self._changed = threading.Condition()
        self._coming: set[int] = set()
        self._asked: list[_Asked] = []
        self._gathering = False

    @contextlib.contextmanager
    def coming(self) -> Iterator[None]:
        """While the block runs this thread is on its way to ask, and others may wait for it."""
        me = threading.get_ident()
        with self._changed:
            self._coming.add(me)
        try:
            yield
        finally:
            self._arrived(me)

    def ask(self, rows: Rows) -> Sequence[Any]:
        """The answers to rows (N, ...), N up to `most`; raises what `run` raises."""
        self._arrived(threading.get_ident())
        mine = _Asked(rows)
        if not self._wait_s or not self._takes_batches():
            return self._alone(mine)
        with self._changed:
            self._asked.append(mine)
            self._changed.notify_all()
            leads = not self._gathering
            if leads:
                self._gathering = True
                batch = self._gather()
        if leads:
            self._look(batch)
        mine.done.wait()
        return mine.answer if mine.answer is not None else self._alone(mine)

    def _arrived(self, thread: int) -> None:
        with self._changed:
            if thread in self._coming:
                self._coming.discard(thread)
                self._changed.notify_all()

    def _gather(self) -> list[_Asked]:
        ends = time.monotonic() + self._wait_s
        while self._coming and sum(len(one.rows) for one in self._asked) < self._most:
            left = ends - time.monotonic()
            if left <= 0:
                break
            self._changed.wait(left)
        batch: list[_Asked] = []
        while self._asked and sum(len(one.rows) for one in (*batch, self._asked[0])) <= self._most:
            batch.append(self._asked.pop(0))
        # What is too much for this run is for those who asked, each by itself: nobody is left to lead them.
        late, self._asked = self._asked, []
        for one in late:
            one.done.set()
        self._gathering = False
        return batch

    def _look(self, batch: Sequence[_Asked]) -> None:
        try:
            if len(batch) > 1:
                answers = self._run(np.concatenate([one.rows for one in batch]))
                self._on_run(len(answers), len(batch))
                for one in batch:
                    one.answer, answers = answers[: len(one.rows)], answers[len(one.rows) :]
        except Exception:  # noqa: S110 - one request's rows must not fail another's: each runs again by itself
            pass
        finally:
            for one in batch:
                one.done.set()

    def _alone(self, asked: _Asked) -> Sequence[Any]:
        answers: Sequence[Any] = self._run(asked.rows)
        for count in [len(answers)] if self._takes_batches() else [1] * len(answers):
            self._on_run(count, 1)
        return answers
