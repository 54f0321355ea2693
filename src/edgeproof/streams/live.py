"""The newest frame of a camera or a stream, which goes on without waiting for anybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgeproof.core.errors import EdgeproofError, SourceError
from edgeproof.streams.capture import READ_TIMEOUT_MS, Capture, open_capture, to_picture, without_secrets
from edgeproof.streams.events import Notify, StreamEvent, ignore
from edgeproof.streams.frame import Frame

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
RECONNECTS = 10  # in a row, without a frame between them: about three minutes


@dataclass(frozen=True)
class Reconnect:
    """How hard to try to get a stream back.

    Attributes:
        most: attempts without a frame between them before it is given up.
        first_s, longest_s: the wait before the first attempt; it doubles up to the longest.
    """

    most: int = RECONNECTS
    first_s: float = _FIRST_WAIT_S
    longest_s: float = _LONGEST_WAIT_S

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait before attempt 1, 2, ..."""
        return min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 32))


def live_frames(
    source: str | int,
    *,
    notify: Notify = ignore,
    stop: threading.Event | None = None,
    reconnect: Reconnect | None = None,
    opener: Callable[[Any], Capture] = open_capture,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """The newest frame at each step: those that came while nobody asked are passed over.

    A stream that drops is opened again, after waits that grow; `notify` is told. `Frame.index` counts the frames that
    the source gave, so a gap shows how many were passed over.

    Arguments:
        source: a camera's number or device, or an address.
        stop: set it to end, also during a wait.

    Raises:
        SourceError: it can't be opened, or stayed away.
        MissingExtraError: OpenCV is not installed.
    """
    reader = _Reader(source, notify, stop or threading.Event(), reconnect or Reconnect(), opener, clock)
    reader.start()
    try:
        while (frame := reader.newest()) is not None:
            yield frame
    finally:
        reader.close()


class _Reader(threading.Thread):
    def __init__(
        self,
        source: str | int,
        notify: Notify,
        stop: threading.Event,
        reconnect: Reconnect,
        opener: Callable[[Any], Capture],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name="edgeproof-live", daemon=True)
        self._source, self._notify, self._reconnect = source, notify, reconnect
        self._stop_event, self._opener, self._clock = stop, opener, clock
        self._called = f"camera:{source}" if isinstance(source, int) else without_secrets(source)
        self._ready = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._count = 0

    def newest(self) -> Frame | None:
        """The newest frame, each once; None when stopped."""
        with self._ready:
            while self._frame is None and not self._ended and not self._stop_event.is_set():
                self._ready.wait(0.1)  # `stop` is anybody's event and wakes nobody
            frame, self._frame = self._frame, None
            if self._stop_event.is_set():
                return None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def close(self) -> None:
        self._ended = True
        self._stop_event.set()
        # A read that hangs is ended by its own time limit; the thread is a daemon should even that fail.
        self.join(READ_TIMEOUT_MS / 1e3 + 1)

    def run(self) -> None:
        try:
            self._read_until_stopped()
        except BaseException as error:  # raised to whoever asks for the next frame
            self._error = error
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    def _read_until_stopped(self) -> None:
        started, attempt = self._clock(), 0
        while not self._stop_event.is_set():
            before = self._count
            capture = self._opener(self._source)
            try:
                opened = capture.isOpened()
                if opened:
                    self._read(capture, started, back=attempt > 0)
            finally:
                capture.release()
            if self._stop_event.is_set():
                return
            attempt = 1 if self._count > before else attempt + 1
            self._wait(attempt, opened)

    def _read(self, capture: Capture, started: float, *, back: bool) -> None:
        while not self._stop_event.is_set():
            read, pixels = capture.read()
            if not read:
                return
            if back:
                back = False
                self._notify(StreamEvent("reconnected", self._called, f"{self._called} is back."))
            frame = Frame(
                f"{self._called}#{self._count}",
                self._count,
                lambda _cover, pixels=pixels: to_picture(pixels),  # type: ignore[misc]
                self._called,
                self._clock() - started,
                live=True,
            )
            with self._ready:
                self._frame = frame
                self._count += 1
                self._ready.notify_all()

    def _wait(self, attempt: int, opened: bool) -> None:
        if not self._count:
            raise SourceError(
                f"{self._called} {'gives no picture' if opened else 'can not be opened'}.",
                hint="Check the address, its user and password, and that no other program holds the camera.",
            )
        if attempt > self._reconnect.most:
            raise SourceError(
                f"{self._called} went away and did not come back in {self._reconnect.most} attempts.",
                hint="Check the camera and the network, then start again.",
            )
        error: EdgeproofError = SourceError(f"{self._called} gives no pictures any more.")
        wait_s = self._reconnect.wait_s(attempt)
        self._notify(
            StreamEvent(
                "reconnecting",
                self._called,
                f"{error.message} Attempt {attempt} of {self._reconnect.most} in {wait_s:g} s.",
                error,
                wait_s,
            )
        )
        self._stop_event.wait(wait_s)
