"""The workers together: who is free, who waits, who has died and is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeproof.core.errors import WorkerError
from edgeproof.serve.channel import ChannelClosedError, Message
from edgeproof.serve.front_channel import FrontChannel
from edgeproof.serve.http_errors import HttpError, error_of_row, overloaded
from edgeproof.serve.memory import resident_bytes
from edgeproof.serve.worker_process import WorkerProcess

# A worker that lived this long was well, and is replaced at once; others after 0.25, 0.5, 1, ... seconds.
_WELL_S = 3.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.25, 15.0
_START_TIMEOUT_S = 60.0


@dataclass(eq=False)
class _Slot:
    """One thread of one worker, which does one thing at a time."""

    worker: WorkerProcess
    channel: FrontChannel


@dataclass(frozen=True)
class Plan:
    """What every worker of a pool is and opens.

    Attributes:
        command, order: of workers that are another program, and what that is told in place of tasks and models.
    """

    workers: int
    threads: int
    tasks: Sequence[str]
    models: Mapping[str, str]
    run_timeout_s: float
    wait_timeout_s: float
    batch_wait_s: float = 0.0
    command: Sequence[str] | None = None
    order: Mapping[str, Any] | None = field(default=None, repr=False)

    def new_worker(self) -> WorkerProcess:
        """One more, which is to be told its order."""
        return WorkerProcess(self.threads, self.command)


class Pool:
    """Supervised worker processes.

    Arguments:
        plan: what they are.
        first: workers that were started already, so that they load while the front still imports.
        on_restart: called with the reason each time that one is replaced.
    """

    def __init__(
        self,
        plan: Plan,
        first: Sequence[WorkerProcess] = (),
        on_restart: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan, self._on_restart = plan, on_restart
        self._first = list(first)
        self._workers: dict[int, WorkerProcess] = {}
        self._free: deque[_Slot] = deque()
        self._waiting: deque[asyncio.Future[_Slot]] = deque()
        self._flying: dict[asyncio.Task[Message], WorkerProcess] = {}
        self._supervisors: list[asyncio.Task[None]] = []
        self._reasons: dict[WorkerProcess, str] = {}
        self.models: list[dict[str, Any]] = []
        self._ceiling: int | None = None
        self._on_ready: Callable[[int], None] = lambda _pid: None
        self.closing = False

    @property
    def slots(self) -> int:
        """How many pictures can be looked at side by side."""
        return self._plan.workers * self._plan.threads

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._workers.values()]

    @property
    def busy(self) -> int:
        """How many runs are under way."""
        return len(self._flying)

    @property
    def waiting(self) -> int:
        """How many runs wait for a worker."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether at least one worker can take work."""
        return bool(self._workers) and not self.closing

    async def start(self) -> None:
        """Start all workers and wait until each is ready.

        Raises:
            WorkerError: one can't start; none is left behind.
        """
        plan = self._plan
        workers = [
            *self._first,
            *(plan.new_worker() for _ in range(plan.workers - len(self._first))),
        ]
        try:
            await asyncio.gather(*(self._get_ready(worker) for worker in workers))
        except BaseException:
            for worker in workers:
                worker.close()
            raise
        for place, worker in enumerate(workers):
            self._take_in(place, worker)
            self._supervisors.append(asyncio.create_task(self._supervise(place, worker)))

    async def run(self, message: Message) -> Message:
        """Have one worker do it: at the worker's death once more on another.

        Raises:
            HttpError: nobody was free in time, the worker hung, or two died of it; or what the worker said.
        """
        for _ in range(2):
            slot = await self._get_slot()
            flight = asyncio.create_task(self._fly(slot, message))
            self._flying[flight] = slot.worker
            flight.add_done_callback(self._landed)
            try:
                # If whoever asked hangs up, the worker still finishes: its slot is not free before.
                answer = await asyncio.shield(flight)
            except ChannelClosedError:
                continue
            if "error" in answer.head:
                raise error_of_row(answer.head["error"])
            return answer
        raise HttpError(
            503, "worker_died", "Two workers died of this request, or while they had it.", retry_after=2
        )

    async def tell_all(self, message: Message) -> None:
        """Have every worker do something small, one thread of each."""
        for worker in list(self._workers.values()):
            slot = next((slot for slot in self._free if slot.worker is worker), None)
            if slot is not None:
                self._free.remove(slot)
                with contextlib.suppress(ChannelClosedError, HttpError):
                    await self._fly(slot, message)

    async def close(self) -> None:
        """End every worker."""
        self.closing = True
        for task in self._supervisors:
            task.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        for waiter in self._waiting:
            waiter.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    def bound(self, ceiling: int, on_ready: Callable[[int], None]) -> None:
        """Replace workers that grow beyond `ceiling` resident bytes; `on_ready` is called with each new one's pid."""
        self._ceiling, self._on_ready = ceiling, on_ready

    def replace_large(self) -> None:
        """Replace the workers that have passed the ceiling."""
        for pid in self.pids:
            if self._ceiling is not None and resident_bytes(pid) > self._ceiling:
                self.replace(pid, "memory")

    def replace(self, pid: int, reason: str) -> None:
        """End a worker and have another take its place."""
        for worker in self._workers.values():
            if worker.pid == pid:
                self._reasons[worker] = reason
                self._retire(worker)

    async def _get_slot(self) -> _Slot:
        if self._free:
            return self._free.popleft()
        waiter: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=self._plan.wait_timeout_s)  # see admission.Share
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._put_slot(waiter.result())  # given to us in the moment that we were called off
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)
        if not waiter.done():
            raise overloaded("No worker became free in time.", retry_after=2)
        return waiter.result()

    def _put_slot(self, slot: _Slot) -> None:
        if slot.worker.ending:
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        self._free.append(slot)

    def _landed(self, flight: asyncio.Task[Message]) -> None:
        self._flying.pop(flight, None)
        if not flight.cancelled():
            flight.exception()  # seen, also where nobody waits for it any more

    async def _fly(self, slot: _Slot, message: Message) -> Message:
        try:
            answer = await asyncio.wait_for(slot.channel.ask(message), self._plan.run_timeout_s)
        except ChannelClosedError:
            self._retire(slot.worker)
            raise
        except asyncio.TimeoutError:
            # Half an answer may still come over that socket: it is of no use any more.
            self.replace(slot.worker.pid, "hung")
            raise HttpError(
                503, "timed_out", f"It took longer than {self._plan.run_timeout_s:g} s.", retry_after=2
            ) from None
        self._put_slot(slot)
        return answer

    async def _get_ready(self, worker: WorkerProcess) -> None:
        plan = self._plan
        try:
            order = plan.order or {
                "tasks": list(plan.tasks),
                "models": dict(plan.models),
                "batch_wait_s": plan.batch_wait_s,
            }
            self.models = await asyncio.wait_for(worker.ready(order), _START_TIMEOUT_S)
            self._on_ready(worker.pid)
        except asyncio.TimeoutError:
            raise WorkerError(
                f"A worker was not ready after {_START_TIMEOUT_S:.0f} s.", hint="See what else runs here."
            ) from None

    async def _supervise(self, place: int, worker: WorkerProcess) -> None:
        failures = 0
        while True:
            since = time.monotonic()
            try:
                await worker.ended()
            finally:
                self._take_out(place, worker)
            failures = 0 if time.monotonic() - since > _WELL_S else failures + 1
            self._on_restart(self._reasons.pop(worker, "died"))
            # Whoever still reads from it has to see its end first: nobody is woken by a socket that was closed here.
            if last := [flight for flight, whose in self._flying.items() if whose is worker]:
                await asyncio.wait(last)
            worker.close()
            worker, failures = await self._another(failures)
            self._take_in(place, worker)

    async def _another(self, failures: int) -> tuple[WorkerProcess, int]:
        while True:
            if failures:
                await asyncio.sleep(min(_FIRST_DELAY_S * 2 ** (failures - 1), _LONGEST_DELAY_S))
            worker = self._plan.new_worker()
            try:
                await self._get_ready(worker)
                return worker, failures
            except WorkerError:
                worker.close()
                self._on_restart("did not start")
                failures += 1
            except BaseException:
                worker.close()
                raise

    def _take_in(self, place: int, worker: WorkerProcess) -> None:
        self._workers[place] = worker
        for channel in worker.slots:
            self._put_slot(_Slot(worker, channel))

    def _take_out(self, place: int, worker: WorkerProcess) -> None:
        if not self.closing:
            self._workers.pop(place, None)
        self._retire(worker)

    def _retire(self, worker: WorkerProcess) -> None:
        """Nobody is given to it any more, from the first sign of its end."""
        self._free = deque(slot for slot in self._free if slot.worker is not worker)
        worker.kill()
