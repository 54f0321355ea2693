"""HTTP/1.1 as uvicorn does it, with a deadline for headers, a bound for connections and our own words for nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgeproof.serve.http_errors import HttpError

MAX_CONNECTIONS = 512
_NONSENSE = HttpError(400, "bad_request", "That is no HTTP/1.1 request that can be read.")
_CROWDED = HttpError(503, "overloaded", "Too many connections.", retry_after=2)


class BoundedProtocol(H11Protocol):
    """One connection."""

    header_timeout_s = 10.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refused at once where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._say(_CROWDED)
            return
        self._begin_deadline()

    def data_received(self, data: bytes) -> None:
        """Between two requests the deadline runs from the first byte."""
        if self.transport.is_closing():
            return
        if self._idle:
            self._begin_deadline()
        super().data_received(data)
        if not self._idle:
            self._end_deadline()

    def on_response_complete(self) -> None:
        """What still comes of a body that nobody wanted has a deadline too."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._begin_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left that would fire later."""
        self._end_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """The same form of error as everywhere; the library's own words say nothing that helps."""
        self._say(_NONSENSE)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _begin_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_timeout_s, self._give_up)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()

    def _say(self, problem: HttpError) -> None:
        if self._idle or not self.cycle.response_started:
            body = msgspec.json.encode({"error": problem.as_json(), "request_id": None})
            extra = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
            reason = {400: "Bad Request", 503: "Service Unavailable"}[problem.status]
            head = (
                f"HTTP/1.1 {problem.status} {reason}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\n{extra}connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def protocol(header_timeout_s: float) -> type[BoundedProtocol]:
    """The protocol with this deadline."""
    return type("Protocol", (BoundedProtocol,), {"header_timeout_s": header_timeout_s})
