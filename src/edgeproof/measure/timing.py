"""The loops that time runs: one after another, or at a fixed rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

QUEUE = 8  # arrivals that may wait, as in a service with a bounded queue
_SPIN_NS = 300_000  # before an arrival is due the loop looks at the clock: a sleep ends up to this much late


@dataclass(frozen=True)
class Arrivals:
    """What became of arrivals at a fixed rate.

    Attributes:
        latency_ms: of each that was served, from the moment that it was due to its result.
        arrived: how many were due.
        dropped: found `QUEUE` others waiting, and were never served.
        late: served, but their result came after the next one was due.
        seconds: from the first moment due to the last result.
    """

    latency_ms: list[float]
    arrived: int
    dropped: int
    late: int
    seconds: float


def time_runs(run: Callable[[Any], object], items: Sequence[Any], count: int, start: int = 0) -> list[int]:
    """Nanoseconds of each of `count` runs, one after another, over the items in turn from number `start` on."""
    clock, kinds = time.perf_counter_ns, len(items)
    taken = []
    for index in range(start, start + count):
        item = items[index % kinds]
        before = clock()
        run(item)
        taken.append(clock() - before)
    return taken


def time_arrivals(
    run: Callable[[Any], object],
    items: Sequence[Any],
    *,
    rate_hz: float,
    count: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Arrivals:
    """Run at the pace of a source that doesn't wait: arrival i is due i / `rate_hz` seconds after the first.

    Timed from when it was due and not from when it was begun: a slow run delays those behind it, and a loop that waits
    for each result would leave that out ("coordinated omission").

    Arguments:
        count: arrivals.
        clock, sleep: nanoseconds now, and waiting some seconds.
    """
    period = 1e9 / rate_hz
    first = clock()
    waiting: deque[int] = deque()
    latencies, dropped, late, next_ = [], 0, 0, 0
    while next_ < count or waiting:
        now = clock()
        while next_ < count and first + next_ * period <= now:
            if len(waiting) < QUEUE:
                waiting.append(next_)
            else:
                dropped += 1
            next_ += 1
        if not waiting:
            left = first + next_ * period - now
            if left > _SPIN_NS:
                sleep((left - _SPIN_NS) / 1e9)
            continue
        number = waiting.popleft()
        run(items[number % len(items)])
        taken = clock() - first - number * period
        latencies.append(taken / 1e6)
        late += taken > period
    return Arrivals(latencies, count, dropped, late, (clock() - first) / 1e9)
