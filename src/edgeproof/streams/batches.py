"""How many things are worked on at once: as many as the memory budget has room for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from edgeproof.core.errors import UsageError

GROW_BELOW, SHRINK_ABOVE = 0.6, 0.8
# Growing again right after shrinking would go back and forth for ever.
_CALM = 4
_FORGIVEN = 64


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int | None:
    """Resident memory of this process now; None where it can't be read."""
    try:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class BatchSize:
    """A batch size that grows below 60 % of a memory budget and shrinks above 80 %.

    It grows by one at a time, after full batches only, and where what an earlier growth took fits twice below the
    budget's 80 %: as long as one more takes less than 40 % of the budget, it is never passed. A size that was too
    much is not tried again until 64 batches went well.

    Arguments:
        budget: bytes that the process may have; None for no limit: then it grows to `most`.
        most: the largest batch.
        resident: what the process has now; None where nobody knows, and then the size stays at 1.

    Safe in any number of threads.
    """

    def __init__(
        self,
        budget: float | None,
        *,
        most: int = 16,
        resident: Callable[[], float | None] = resident_bytes,
    ) -> None:
        if most < 1 or (budget is not None and not budget > 0):
            raise UsageError(
                f"A batch of {most} within {budget} bytes is nothing.", hint="Give numbers above 0."
            )
        self._budget, self._most, self._resident = budget, most, resident
        self._lock = threading.Lock()
        self._size, self._calm, self._ceiling = 1, 0, most
        self._before: float | None = None
        self._cost = 0.0

    @property
    def size(self) -> int:
        """How many to take now."""
        return self._size

    def __call__(self) -> int:
        """The same."""
        return self._size

    def went_well(self, count: int) -> int:
        """Say that a batch of `count` is done, right after it, while its memory is there; gives the new size."""
        used = self._resident() if self._budget is not None else 0.0
        with self._lock:
            if self._budget is None:
                self._size = self._most
            elif used is not None:
                self._adapt(used, self._budget, full=count >= self._size)
            return self._size

    def failed(self) -> int:
        """Say that a batch ran out of memory; gives the new size."""
        with self._lock:
            self._shrink()
            return self._size

    def _adapt(self, used: float, budget: float, *, full: bool) -> None:
        if used > SHRINK_ABOVE * budget:
            self._shrink()
            return
        if not full:  # tells nothing about what a full one takes
            return
        if self._before is not None:
            self._cost = max(self._cost, used - self._before)
            self._before = None
        self._calm += 1
        if self._calm >= _FORGIVEN:
            self._ceiling = self._most
        room = SHRINK_ABOVE * budget - used
        may = self._calm >= _CALM and self._size < self._ceiling
        if may and used < GROW_BELOW * budget and room > 2 * self._cost:
            self._before, self._calm = used, 0
            self._size += 1

    def _shrink(self) -> None:
        if self._size > 1:
            self._ceiling = self._size - 1
        self._size, self._calm, self._before = max(1, self._size // 2), 0, None
