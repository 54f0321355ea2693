"""Stages that work side by side: bounded queues between them, results in the order of the items.

A few threads serve all stages. A thread that is free takes the work that is nearest to the end, so finished
results leave before new work begins, what is in flight stays little, and a stage that is slow gets all
threads without anybody tuning it. As many networks run at once as there are threads, however many stages
there are: their working memory is what counts on a small device.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from edgeproof.core.errors import EdgeproofError, EngineError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Attributes:
        name: what it is called in errors.
        work: a list of values in, a list of as many out; a value that is an exception is that item's error.
        batch: how many values it takes at once at the most; asked before every call.
        at_once: how many calls may run at the same time, told by the value whose turn it is; None for as many as
            there are threads.
    """

    name: str
    work: Callable[[list[Any]], Sequence[Any]]
    batch: Callable[[], int] = lambda: 1
    at_once: Callable[[Any], int | None] = lambda _: None


def each(name: str, function: Callable[[Any], Any], *, at_once: int | None = None) -> Stage:
    """A stage that takes one value at a time."""
    return Stage(name, lambda values: [function(value) for value in values], at_once=lambda _: at_once)


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of one item: a value or an error, never both.

    Attributes:
        index: its place among the items.
        item: as it was given.
        value: what the last stage made of it.
        error: why there is no value.
        stage: where that happened.
    """

    index: int
    item: T
    value: Any = None
    error: EdgeproofError | None = None
    stage: str | None = None


def run_pipeline(
    items: Iterable[T],
    stages: Sequence[Stage],
    *,
    threads: int = 2,
    depth: int = 2,
    stop: threading.Event | None = None,
    cost: Callable[[T], float] | None = None,
    most_cost: float = 0.0,
) -> Iterator[Result[T]]:
    """Send items through stages; the results come in the order of the items.

    An item's error travels to the end in its place and harms no other. An error of `items` itself is raised
    after the results of what came before it. The next item is taken only when there is room, so a source that
    gives its newest frame gives one that is new. When the consumer closes the iterator, or Ctrl-C arrives,
    nothing new is started, what runs is finished, and every thread has ended before it returns.

    Arguments:
        items: what goes in; one thread of its own goes through it.
        stages: in their order.
        threads: how many calls of stages run at the same time.
        depth: how many values wait before a stage at the most, times what it takes at once.
        stop: set it to take no more items: what was taken still comes out. It is set when the pipeline ends, so that
            a source that waits for it ends too.
        cost: what an item takes while it is in flight, in any unit; those in flight never have more than
            `most_cost` together, but one alone always goes.

    Raises:
        UsageError: threads or depth is below 1, or there is no stage.
    """
    if threads < 1 or depth < 1 or not stages:
        raise UsageError(
            f"A pipeline of {len(stages)} stages with {threads} threads and depth {depth} can't run.",
            hint="Give one or more of each.",
        )
    return _Pipeline(items, stages, threads, depth, stop or threading.Event(), cost, most_cost).results()


class _Job:
    """An item on its way; ordered by its place, so that the oldest goes first."""

    __slots__ = ("cost", "index", "item", "value")

    def __init__(self, index: int, item: Any, cost: float) -> None:
        self.index, self.item, self.value, self.cost = index, item, item, cost

    def __lt__(self, other: _Job) -> bool:
        return self.index < other.index


class _Pipeline:
    def __init__(
        self,
        items: Iterable[Any],
        stages: Sequence[Stage],
        threads: int,
        depth: int,
        stop: threading.Event,
        cost: Callable[[Any], float] | None,
        most_cost: float,
    ) -> None:
        self._items, self._stages, self._depth, self._stop = items, stages, depth, stop
        self._cost, self._most_cost = cost, most_cost
        self._spare = 2 * threads
        lock = threading.Lock()
        self._to_do, self._to_take, self._to_give = (threading.Condition(lock) for _ in range(3))
        self._waiting: list[list[_Job]] = [[] for _ in stages]
        self._running = [0] * len(stages)
        self._done: dict[int, Result[Any]] = {}
        self._taken = self._given = 0
        self._finished = 0
        self._cost_in_flight = 0.0
        self._all_taken = self._cancelled = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=target, name=f"edgeproof-{name}", daemon=True)
            for target, name in [(self._feed, "feed"), *[(self._serve, f"work-{n}") for n in range(threads)]]
        ]

    def results(self) -> Iterator[Result[Any]]:
        for thread in self._threads:
            thread.start()
        try:
            while (result := self._next()) is not None:
                yield result
            if self._failure is not None:
                raise self._failure
        finally:
            self._cancel()
            for thread in self._threads:
                thread.join()

    def _next(self) -> Result[Any] | None:
        with self._to_give:
            while self._given not in self._done:
                if self._all_taken and self._given == self._taken:
                    return None
                self._to_give.wait()
            result = self._done.pop(self._given)
            self._given += 1
            self._to_take.notify()
            return result

    def _cancel(self) -> None:
        self._stop.set()
        with self._to_do:
            self._cancelled = True
            self._to_do.notify_all()
            self._to_take.notify_all()

    # The feeding thread.

    def _feed(self) -> None:
        try:
            iterator = iter(self._items)
            while self._wait_for_room():
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                if not self._admit(item):
                    break
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # raised to the consumer, after what came before it
            self._failure = error
        with self._to_give:
            self._all_taken = True
            self._to_give.notify_all()
            self._to_do.notify_all()

    def _wait_for_room(self) -> bool:
        with self._to_take:
            while not self._has_room():
                if self._stop.is_set():
                    return False
                # `stop` is anybody's event and tells no condition: look at it now and then.
                self._to_take.wait(0.1)
            return not self._stop.is_set()

    def _has_room(self) -> bool:
        # Results that wait for an earlier one count too: without a bound one slow item would collect all others.
        most = sum(map(self._room_before, range(len(self._stages)))) + self._spare
        return len(self._waiting[0]) < self._room_before(0) and self._taken - self._given < most

    def _room_before(self, stage: int) -> int:
        return self._depth * max(1, self._stages[stage].batch())

    def _admit(self, item: Any) -> bool:
        cost = self._cost(item) if self._cost else 0.0
        with self._to_take:
            while self._finished < self._taken and self._cost_in_flight + cost > self._most_cost:
                if self._cancelled:
                    return False
                self._to_take.wait(0.1)
            self._cost_in_flight += cost
            heapq.heappush(self._waiting[0], _Job(self._taken, item, cost))
            self._taken += 1
            self._to_do.notify()
        return True

    # The working threads.

    def _serve(self) -> None:
        while (work := self._pick()) is not None:
            number, jobs = work
            self._deliver(number, jobs, _call(self._stages[number], [job.value for job in jobs]))

    def _pick(self) -> tuple[int, list[_Job]] | None:
        with self._to_do:
            while not self._cancelled:
                for number in reversed(range(len(self._stages))):
                    if jobs := self._take(number):
                        return number, jobs
                if self._all_taken and not any(self._waiting) and not any(self._running):
                    self._to_do.notify_all()
                    return None
                self._to_do.wait()
            return None

    def _take(self, number: int) -> list[_Job]:
        stage, waiting = self._stages[number], self._waiting[number]
        if not waiting:
            return []
        most = stage.at_once(waiting[0].value)
        if most is not None and self._running[number] >= most:
            return []
        after = number + 1
        # Calls that run fill the queue a little beyond its depth, one each: to keep their room free for them
        # would let one slow call hold up all the others.
        if after < len(self._stages) and len(self._waiting[after]) >= self._room_before(after):
            return []
        self._running[number] += 1
        jobs = [heapq.heappop(waiting) for _ in range(min(len(waiting), max(1, stage.batch())))]
        if number == 0:
            self._to_take.notify()
        if waiting:
            self._to_do.notify()
        return jobs

    def _deliver(self, number: int, jobs: list[_Job], answers: Sequence[Any]) -> None:
        last = number + 1 == len(self._stages)
        with self._to_do:
            self._running[number] -= 1
            for job, answer in zip(jobs, answers, strict=True):
                if last or isinstance(answer, Exception):
                    self._finish(job, answer, self._stages[number].name)
                else:
                    job.value = answer
                    heapq.heappush(self._waiting[number + 1], job)
            self._to_do.notify_all()
            self._to_give.notify()

    def _finish(self, job: _Job, answer: Any, stage: str) -> None:
        self._finished += 1
        # Sums of floats don't come back to 0 by themselves.
        self._cost_in_flight = self._cost_in_flight - job.cost if self._finished < self._taken else 0.0
        if isinstance(answer, Exception):
            result = Result(job.index, job.item, None, typed(answer, stage), stage)
        else:
            result = Result(job.index, job.item, answer)
        self._done[job.index] = result
        self._to_take.notify()


def _call(stage: Stage, values: list[Any]) -> Sequence[Any]:
    try:
        answers = stage.work(values)
    except Exception as error:
        return [error] * len(values)
    if len(answers) != len(values):
        wrong = EngineError(
            f"{stage.name} gave {len(answers)} answers to {len(values)} questions.", hint="Report this."
        )
        return [wrong] * len(values)
    return answers


def typed(error: Exception, stage: str) -> EdgeproofError:
    """Any exception as one of ours; those that nobody expected name their type and the stage."""
    if isinstance(error, EdgeproofError):
        return error
    if isinstance(error, MemoryError):
        made = EngineError(
            f"There was not enough memory to {stage} it.", hint="Give it more, or smaller pictures."
        )
    else:
        made = EngineError(
            f"The stage {stage!r} met {type(error).__name__}: {error}"[:500], hint="The rest is not affected."
        )
    made.__cause__ = error
    return made
