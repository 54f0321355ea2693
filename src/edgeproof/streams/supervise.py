"""A stage that goes on: its batch is split, its engine opened again, and what is broken says so.

What is a picture's own fault (it is damaged, or of a wrong shape) is that picture's error at once. All else is taken
for the engine's fault: the batch is halved until the picture that breaks it stands alone, then the engine is opened
again after waits that grow. A stage whose engine can't be opened is degraded: everything that reaches it gets the error
without delay, and when the wait is over the next one tries again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgeproof.core.errors import (
    EdgeproofError,
    EngineError,
    ImageError,
    InputError,
    StorageError,
    UsageError,
)
from edgeproof.streams.batches import BatchSize
from edgeproof.streams.events import Notify, StreamEvent, ignore
from edgeproof.streams.live import Reconnect
from edgeproof.streams.pipeline import Stage, typed

# Theirs, not the engine's: to try them again would give the same answer.
_OF_THE_ITEM = (ImageError, InputError, UsageError, StorageError)

Work = Callable[[list[Any]], Sequence[Any]]


class Supervised:
    """A stage's work, made to go on.

    Arguments:
        name: of the stage.
        work: a list in, a list of as many out; an exception for all, or in place of an answer for one.
        reopen: closes the engine and opens it again; None where there is none.
        batch: told when memory ran out.
        notify: told what happens.
        waits: how often the engine is opened again for one batch, and the waits before it.
        clock, sleep: for tests.

    Safe in any number of threads.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        reopen: Callable[[], None] | None = None,
        batch: BatchSize | None = None,
        notify: Notify = ignore,
        waits: Reconnect | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self._work, self._reopen, self._batch = name, work, reopen, batch
        self._notify, self._clock, self._sleep = notify, clock, sleep
        self._waits = waits or Reconnect(most=3, first_s=0.1, longest_s=60.0)
        self._lock = threading.Lock()
        self._opened = 0  # how often, so that of several threads that fail together one opens it again
        self._broken: EdgeproofError | None = None
        self._failures, self._again_at = 0, 0.0

    @property
    def degraded(self) -> EdgeproofError | None:
        """Why the stage can't work now; None where it can."""
        return self._broken

    def stage(self, *, at_once: Callable[[Any], int | None] = lambda _: None) -> Stage:
        """As a stage of a pipeline."""
        return Stage(self.name, self, self._batch or (lambda: 1), at_once)

    def __call__(self, values: list[Any]) -> list[Any]:
        """Answers to the values, an EdgeproofError in place of each that couldn't be had."""
        if self._broken is not None and not self._try_again():
            return [self._broken] * len(values)
        return self._attempt(values)

    def _attempt(self, values: list[Any]) -> list[Any]:
        seen = self._opened
        try:
            answers = list(self._work(values))
        except Exception as error:
            return self._recover(values, error, seen)
        if self._batch is not None:
            self._batch.went_well(len(values))
        return answers

    def _recover(self, values: list[Any], error: Exception, seen: int) -> list[Any]:
        met = typed(error, self.name)
        if len(values) > 1:
            if isinstance(error, MemoryError):
                self._smaller(met)
            half = len(values) // 2
            return self._attempt(values[:half]) + self._attempt(values[half:])
        if isinstance(met, _OF_THE_ITEM):
            return [met]
        if isinstance(error, MemoryError) and self._batch is not None:
            self._smaller(met)
        return [self._retry(values, met, seen)]

    def _smaller(self, met: EdgeproofError) -> None:
        if self._batch is not None:
            size = self._batch.failed()
            self._notify(
                StreamEvent("smaller batches", self.name, f"{met.message} Now {size} at a time.", met)
            )

    def _retry(self, values: list[Any], met: EdgeproofError, seen: int) -> Any:
        """One value that failed: once more as things are, then after each reopening."""
        for attempt in range(self._waits.most + 1):
            if attempt:
                if self._reopen is None:
                    break
                wait_s = self._waits.wait_s(attempt)
                self._notify(
                    StreamEvent(
                        "reopening",
                        self.name,
                        f"{met.message} Opening it again in {wait_s:g} s.",
                        met,
                        wait_s,
                    )
                )
                self._sleep(wait_s)
                if not self._open_again(seen):
                    return self._broken or met
                seen = self._opened
            try:
                answer = next(iter(self._work(values)))
            except Exception as error:
                met = typed(error, self.name)
                continue
            self._failures = 0
            return answer
        return met

    def _open_again(self, seen: int) -> bool:
        """Open the engine again, unless another thread did so meanwhile; False when it can't be opened."""
        with self._lock:
            if self._opened != seen or (self._broken is not None and self._clock() < self._again_at):
                return self._broken is None
            assert self._reopen is not None
            try:
                self._reopen()
            except Exception as error:
                self._degrade(typed(error, self.name))
                return False
            self._opened += 1
            if self._broken is not None:
                self._broken, self._failures = None, 0
                self._notify(StreamEvent("recovered", self.name, f"{self.name} works again."))
            return True

    def _degrade(self, error: EdgeproofError) -> None:
        self._failures += 1
        wait_s = self._waits.wait_s(self._failures)
        self._again_at = self._clock() + wait_s
        broken = EngineError(
            f"The stage {self.name!r} is out of order: {error.message}",
            hint=error.hint or "It is tried again on its own.",
        )
        broken.__cause__ = error
        self._broken = broken
        self._notify(
            StreamEvent(
                "degraded", self.name, f"{broken.message} Next attempt in {wait_s:g} s.", broken, wait_s
            )
        )

    def _try_again(self) -> bool:
        return self._clock() >= self._again_at and self._open_again(self._opened)

    def start(self) -> bool:
        """Open the engine now; False leaves the stage degraded, and `notify` told."""
        return self._reopen is None or self._open_again(self._opened)
