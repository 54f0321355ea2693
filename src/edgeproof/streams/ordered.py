"""An ordered map over threads that never holds more than a few items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ordered(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """Yield `function(item)` in the order of the items, computed by `workers` threads.

    At most `2 * workers` items are in flight, so memory doesn't grow with the input. Decoding, resizing and
    inference release the interpreter lock, which is why threads are enough. When the consumer stops early
    (or Ctrl-C arrives) what is running is finished and nothing else is started.

    For one function whose errors end it all. Several stages, batches, and errors that travel with their item are
    `edgeproof.streams.pipeline`.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="edgeproof")
    flying: deque[Future[R]] = deque()
    try:
        for item in items:
            flying.append(pool.submit(function, item))
            if len(flying) >= 2 * workers:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
