"""Who is let in: so many requests, so many bytes of bodies, so much memory for decoding; first come, first served."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from edgeproof.imaging.header import Header
from edgeproof.serve.access import Caller
from edgeproof.serve.http_errors import HttpError, overloaded, too_large

# Pixels of a decoded picture exist at most so often at once: as decoded, put upright, and cut for a network.
_COPIES = 3
# Pillow holds 4 bytes a pixel; then transparency against white, RGB and the array.
_PILLOW_BYTES = 16
# A progressive JPEG is held as coefficients, 2 bytes for each of up to 3 components, before any pixel.
_COEFFICIENT_BYTES = 6
# What a run over /v2 takes beside its tensors: activations of a small network, the interpreter's own.
_RUN_BYTES = 6_000_000
# A number in JSON, such as "0,", becomes a Python object in a list.
_JSON_FACTOR = 24
_BINARY_FACTOR = 4


def picture_cost(header: Header, size: int, cover: int, run_bytes: int = _RUN_BYTES) -> int:
    """The most bytes that a worker takes for a picture.

    Arguments:
        header: what its file says of itself.
        size: bytes of the file.
        cover: pixels of the short side that decoding keeps.
        run_bytes: what the task's run takes beside the picture.
    """
    pixels = header.width * header.height
    if header.format != "jpeg":
        return run_bytes + size + pixels * _PILLOW_BYTES
    shrink = next((n for n in (8, 4, 2) if -(-min(header.width, header.height) // n) >= cover), 1)
    decoded = pixels // shrink**2 * 3 * _COPIES
    held = pixels * _COEFFICIENT_BYTES if header.progressive else 0
    return run_bytes + size + decoded + held


def tensors_cost(json_bytes: int, binary_bytes: int) -> int:
    """The most bytes that a worker takes for a request over /v2."""
    return _RUN_BYTES + json_bytes * _JSON_FACTOR + binary_bytes * _BINARY_FACTOR


@dataclass
class Share:
    """So many bytes, given to those who ask in the order in which they asked.

    Attributes:
        capacity: bytes in all.
        taken: bytes that are given at the moment.
    """

    capacity: int
    taken: int = 0
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """How many wait for their bytes."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def holding(self, amount: int, timeout_s: float) -> AsyncIterator[None]:
        """Hold `amount` bytes while the block runs.

        Raises:
            HttpError: 413 where it is more than there ever is, 503 where it didn't come in time.
        """
        if amount > self.capacity:
            raise HttpError(
                413,
                "needs_memory",
                f"It could take {amount / 1e6:.0f} MB of memory; {self.capacity / 1e6:.0f} MB are there for it."
                " Make the picture smaller, or start the service with a larger --mem-budget.",
                details={"needed_bytes": amount, "available_bytes": self.capacity},
            )
        await self._take(amount, timeout_s)
        try:
            yield
        finally:
            self.taken -= amount
            self._serve()

    async def _take(self, amount: int, timeout_s: float) -> None:
        if not self._waiting and self.taken + amount <= self.capacity:
            self.taken += amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        row = (amount, turn)
        self._waiting.append(row)
        try:
            # Not wait_for: until Python 3.12 it forgets being called off where the turn comes in the same moment.
            await asyncio.wait((turn,), timeout=timeout_s)
        except BaseException:
            if turn.done():
                self.taken -= amount
            self._step_out(row)
            raise
        if not turn.done():
            self._step_out(row)
            raise overloaded("There was not enough memory free in time.", retry_after=2)

    def _step_out(self, row: tuple[int, asyncio.Future[None]]) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(row)
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self.taken + self._waiting[0][0] <= self.capacity:
            amount, turn = self._waiting.popleft()
            if not turn.done():
                self.taken += amount
                turn.set_result(None)


class Admission:
    """The bounds of the whole service.

    Arguments:
        places: requests that may be inside at once, served or waiting.
        bodies: bytes of bodies that may be held at once.
        work: bytes that workers may take for decoding and running.
        wait_timeout_s: the longest that a request waits for either.
    """

    def __init__(self, *, places: int, bodies: int, work: int, wait_timeout_s: float) -> None:
        self.places, self.inside = places, 0
        self.bodies, self.work = Share(bodies), Share(work)
        self._wait_s = wait_timeout_s
        # How long a request takes at the moment, for Retry-After; smoothed.
        self._seconds = 0.05
        self._of_key: dict[str, int] = {}

    @contextlib.contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Be inside while the block runs.

        Raises:
            HttpError: 503 where all places are taken, 429 where this caller has its own full.
        """
        key, most = caller.name, caller.most
        if most is not None and self._of_key.get(key, 0) >= most:
            raise HttpError(
                429,
                "too_many_requests",
                f"This key has {most} requests under way, which is its limit.",
                retry_after=1,
            )
        if self.inside >= self.places:
            raise overloaded("All places are taken.", retry_after=max(1, round(self.places * self._seconds)))
        self.inside += 1
        self._of_key[key] = self._of_key.get(key, 0) + 1
        began = time.perf_counter()
        try:
            yield
        finally:
            self.inside -= 1
            self._of_key[key] -= 1
            if not self._of_key[key]:
                del self._of_key[key]
            self._seconds += 0.1 * (time.perf_counter() - began - self._seconds)

    @property
    def waiting(self) -> int:
        """How many wait for memory."""
        return self.bodies.waiting + self.work.waiting

    def holding_body(self, size: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Room for a body of `size` bytes."""
        if size > self.bodies.capacity:
            raise too_large(f"A body may have {self.bodies.capacity:,} bytes.", limit=self.bodies.capacity)
        return self.bodies.holding(size, self._wait_s)

    def holding_work(self, cost: int) -> contextlib.AbstractAsyncContextManager[None]:
        """Room for what a worker takes."""
        return self.work.holding(cost, self._wait_s)
