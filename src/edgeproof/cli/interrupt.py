"""Ctrl-C once: take no more, and give out what was begun. Twice: end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted:
    """Whether, and by which signal, the block was asked to end."""

    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells count; 0 without one."""
        return 128 + self.signal if self.signal else 0


@contextmanager
def drain_on_interrupt(stop: threading.Event) -> Iterator[Interrupted]:
    """Set `stop` at the first SIGINT or SIGTERM while the block runs; the second is what it was before.

    In another thread than the main one signals can't be caught, and nothing changes.
    """
    state = Interrupted()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def caught(number: int, _frame: FrameType | None) -> None:
        state.signal = number
        stop.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, caught)
    try:
        yield state
    finally:
        restore()
