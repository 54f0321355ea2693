"""A file server on loopback that misbehaves on request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files(BaseHTTPRequestHandler):
    """Serves `server.data` for every path, as its `server.answers` say; the last one goes on for ever."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        answers = self.server.answers
        self.close_connection = True
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_: object) -> None: ...

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def start(self) -> int:
        """Where the asked range starts."""
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))


class FileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, data: bytes, answers: list[Callable[[Files], None]]) -> None:
        super().__init__(("127.0.0.1", 0), Files)
        self.data, self.answers = data, answers
        self.asked: list[tuple[str, str | None]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serving(data: bytes, *answers: Callable[[Files], None]) -> Iterator[FileServer]:
    server = FileServer(data, list(answers) or [ranged])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def ranged(request: Files, upto: int | None = None) -> None:
    """The file from the asked byte on, or only up to `upto` although the rest was promised."""
    data, start = request.server.data, request.start()
    if start >= len(data) and request.headers.get("Range"):
        request.head(416, 0)
        return
    if start:
        request.head(
            206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}", ETag='"1"'
        )
    else:
        request.head(200, len(data), ETag='"1"')
    request.wfile.write(data[start:upto])


def cut(upto: int) -> Callable[[Files], None]:
    """Breaks off before the byte `upto`."""
    return lambda request: ranged(request, upto)


def whole(request: Files) -> None:
    """Knows no ranges."""
    request.head(200, len(request.server.data))
    request.wfile.write(request.server.data)


def whole_cut(upto: int) -> Callable[[Files], None]:
    """Knows no ranges, and breaks off."""

    def answer(request: Files) -> None:
        request.head(200, len(request.server.data))
        request.wfile.write(request.server.data[:upto])

    return answer


def endless(request: Files) -> None:
    """States no length, and never ends."""
    request.head(200, None)
    with contextlib.suppress(OSError):
        while not request.server.release.is_set():
            request.wfile.write(bytes(1 << 16))


def lengthless(request: Files) -> None:
    """States no length."""
    request.head(200, None)
    request.wfile.write(request.server.data)


def status(code: int, **headers: str) -> Callable[[Files], None]:
    """Only this answer."""
    return lambda request: request.head(code, 0, **headers)


def page(request: Files) -> None:
    """A web page in place of the file."""
    body = b"<!DOCTYPE html><p>Too large to scan for viruses"
    request.head(200, len(body), Content_Type="text/html; charset=utf-8")
    request.wfile.write(body)


def silent(request: Files) -> None:
    """Promises the file, and sends a part and then nothing until the server ends."""
    request.head(200, len(request.server.data))
    request.wfile.write(request.server.data[:1000])
    request.wfile.flush()
    request.server.release.wait(30)


def wrong_range(request: Files) -> None:
    """Answers with another range than the one asked for, if any was."""
    data = request.server.data
    if request.start():
        request.head(206, len(data), Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")
    else:
        request.head(200, len(data))
    request.wfile.write(data)
