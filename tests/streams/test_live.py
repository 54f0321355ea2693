"""Live sources: the newest frame, and back again after a drop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.core.errors import SourceError
from edgeproof.streams.events import StreamEvent
from edgeproof.streams.frame import Frame
from edgeproof.streams.live import Reconnect, live_frames
from edgeproof.streams.sources import frames

AT_ONCE = Reconnect(most=3, first_s=0.0, longest_s=0.0)


class Feed:
    """A capture that gives frames of rising brightness, each when it is let."""

    def __init__(self, values: Sequence[int], may: threading.Semaphore | None = None) -> None:
        self._values, self._may, self.released = list(values), may, False

    def isOpened(self) -> bool:
        return bool(self._values)

    def read(self) -> tuple[bool, Any]:
        if self._may:
            self._may.acquire()
        if not self._values:
            return False, None
        return True, np.full((4, 4, 3), self._values.pop(0), np.uint8)

    def get(self, what: int) -> float:
        return 0.0

    def release(self) -> None:
        self.released = True


def one_after_the_other(*feeds: Feed) -> Any:
    left = list(feeds)
    return lambda source: left.pop(0) if left else Feed([])


def test_only_the_newest_frame_is_given() -> None:
    may = threading.Semaphore(0)
    feed = Feed(range(10), may)
    found = live_frames("rtsp://host/x", opener=one_after_the_other(feed), reconnect=AT_ONCE)
    may.release()
    assert next(found).index == 0
    read = threading.Event()
    feed.get = lambda what: 0.0  # type: ignore[method-assign]
    original = feed.read

    def reading() -> tuple[bool, Any]:
        if len(feed._values) == 5:
            read.set()
        return original()

    feed.read = reading  # type: ignore[method-assign]
    for _ in range(5):
        may.release()
    assert read.wait(10)  # it asks for the sixth of them, so the five before are in
    newest = next(found)
    assert newest.index >= 4
    assert newest.pixels()[0, 0, 0] == newest.index
    assert newest.live
    for _ in range(20):
        may.release()
    found.close()  # type: ignore[attr-defined]
    assert feed.released


def test_a_stream_that_drops_comes_back_and_says_so() -> None:
    events: list[StreamEvent] = []
    opener = one_after_the_other(Feed([1]), Feed([]), Feed([2]))
    found = live_frames("rtsp://user:secret@host/x", opener=opener, reconnect=AT_ONCE, notify=events.append)
    seen: list[Frame] = []
    with pytest.raises(SourceError, match="did not come back in 3 attempts"):
        seen.extend(found)
    assert seen[-1].pixels()[0, 0, 0] == 2
    kinds = [event.kind for event in events]
    assert kinds == ["reconnecting"] * 2 + ["reconnected"] + ["reconnecting"] * 3
    assert all("secret" not in f"{event.message} {event.part} {event.error}" for event in events)
    assert all("secret" not in frame.name for frame in seen)


def test_one_that_was_never_there_is_an_error_at_once() -> None:
    with pytest.raises(SourceError, match="camera:7 can not be opened"):
        list(live_frames(7, opener=one_after_the_other()))


def test_the_waits_grow_to_a_limit() -> None:
    reconnect = Reconnect(first_s=0.5, longest_s=4)
    assert [reconnect.wait_s(attempt) for attempt in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1, 2, 4, 4, 4]


def test_stop_ends_a_wait() -> None:
    stop = threading.Event()
    waits = Reconnect(first_s=1000, longest_s=1000)

    def notify(event: StreamEvent) -> None:
        stop.set()

    opener = one_after_the_other(Feed([1]))
    seen = list(live_frames(0, opener=opener, reconnect=waits, notify=notify, stop=stop))
    assert len(seen) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name == "edgeproof-live"]


@pytest.fixture
def camera() -> Iterator[str]:
    """An HTTP server whose stream of JPEGs breaks off after a few pictures, each time."""
    connections = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal connections
            connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(8):
                file = BytesIO()
                Image.new("RGB", (64, 48), (80 * connections % 256, 0, 0)).save(file, "jpeg")
                data = file.getvalue()
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(b"Content-Length: %d\r\n\r\n%s\r\n" % (len(data), data))

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}/camera"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_real_stream_that_breaks_off_is_opened_again(camera: str) -> None:
    pytest.importorskip("cv2", reason="needs OpenCV (the extra `video`)")
    events: list[StreamEvent] = []
    stop = threading.Event()
    found = frames(camera, notify=events.append, stop=stop, reconnect=Reconnect(first_s=0.01, longest_s=0.01))
    frame = next(found)
    assert frame.pixels().shape == (48, 64, 3)
    while not any(event.kind == "reconnected" for event in events):
        frame = next(found)
    assert "secret" not in frame.name
    stop.set()
    assert list(found) == []
