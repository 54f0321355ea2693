"""A pattern of load that can be found again in the trace of a meter whose clock is not ours."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import msgspec

# Barker's sequence of length 13: shifted against itself it agrees in at most one place in thirteen, so that its place
# in a trace is unmistakable. Source: R. H. Barker, "Group Synchronizing of Binary Digital Systems", 1953.
BARKER = (1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1)
# At rest before and after, so that work that stands beside it doesn't blur its ends.
REST = 2
PATTERN = (*(0,) * REST, *BARKER, *(0,) * REST)
# Hashing that many bytes takes a millisecond, outside Python's lock: every processor works at the same time.
_BLOCK = bytes(1_000_000)


class Marker(msgspec.Struct, frozen=True):
    """When the pattern was played.

    Attributes:
        began: on the clock of `time.perf_counter`, in seconds.
        chip_s: how long each of its 17 steps took.
    """

    began: float
    chip_s: float


def play_marker(chip_s: float = 1.0, threads: int | None = None) -> Marker:
    """Load the processor and let it rest by turns, for 17 steps of `chip_s` seconds.

    Arguments:
        chip_s: at least twice the interval of the external meter.
        threads: how many processors to load; all of them by default.
    """
    began = time.perf_counter()
    for step, on in enumerate(PATTERN):
        until = began + (step + 1) * chip_s
        if on:
            workers = [
                threading.Thread(target=_work, args=(until,)) for _ in range(threads or os.cpu_count() or 1)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        time.sleep(max(0.0, until - time.perf_counter()))
    return Marker(began, chip_s)


def _work(until: float) -> None:
    while time.perf_counter() < until:
        hashlib.sha256(_BLOCK)
