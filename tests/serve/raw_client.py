"""A client that sends any bytes over one connection, which it keeps as long as the service does."""

from __future__ import annotations

import contextlib
import socket
from typing import NamedTuple

from serve.real_server import read_all


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """One client of the service on this port.

    Attributes:
        sent: requests that were sent.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._line: socket.socket | None = None
        self._came = b""
        self.sent = 0

    def ask(self, request: bytes) -> Answer:
        """Send one whole request and read its answer; on a new connection where the kept one was given up meanwhile."""
        self.sent += 1
        kept = self._line is not None
        try:
            answer = self._exchange(request)
        except (ConnectionError, EOFError):
            if not kept or self._came:
                raise
            self.close()
            answer = self._exchange(request)
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def _exchange(self, request: bytes) -> Answer:
        if self._line is None:
            self._line = self._connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(request)  # a refused request may be hung up on before all of it is sent
        return self._read(head_only=request.startswith(b"HEAD "))

    def throw(self, data: bytes) -> bytes:
        """Send bytes that may be no request, then the end; all that comes before the service hangs up."""
        self.sent += 1
        with self._connect() as line, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            return read_all(line)
        return b""

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
        self._line, self._came = None, b""

    def _connect(self) -> socket.socket:
        line = socket.create_connection(("127.0.0.1", self._port), 30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def _read(self, *, head_only: bool) -> Answer:
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head_only else int(headers["content-length"])
        while len(self._came) < length:
            self._more()
        body, self._came = self._came[:length], self._came[length:]
        return Answer(int(first.split()[1]), headers, body)

    def _more(self) -> None:
        assert self._line is not None
        piece = self._line.recv(1 << 16)
        if not piece:
            raise EOFError(f"The service hung up in the middle of an answer: {self._came[:200]!r}")
        self._came += piece
