"""A load generator: clients over kept connections, each sending the next request when the last one is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

BOUNDARY = "edgeproof-load"


@dataclass
class Load:
    """What came back.

    Attributes:
        latencies_s: of the requests that were answered 200, in the order in which they ended.
        statuses: how many of each; 0 where the connection broke without an answer.
        without_retry_after: answers 503 that don't say when to come again.
        bodies: of the answers 200, each different one once.
        longest_s: the longest that any answer took, whatever its status.
    """

    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    without_retry_after: int = 0
    bodies: set[bytes] = field(default_factory=set)
    longest_s: float = 0.0


def upload(picture: bytes, path: str) -> bytes:
    """A whole POST request with one picture in a form."""
    form = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="p.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body = form + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    return head.encode() + body


async def run_clients(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    normal: Callable[[bytes], bytes] = lambda body: body,
    patience_s: float = 60.0,
    pause_s: float = 0.05,
) -> Load:
    """Have `clients` send `requests` in turn for `seconds`.

    Arguments:
        normal: what of an answer is kept to see whether two are the same.
        patience_s: after which an answer counts as never coming.
        pause_s: after a 503; 0.05 is less polite than the second that it asks for, so that the load stays.
    """
    load = Load()
    ends = time.monotonic() + seconds
    await asyncio.gather(
        *(
            _client(port, requests, number, ends, load, normal, patience_s, pause_s)
            for number in range(clients)
        )
    )
    return load


async def _client(
    port: int,
    requests: Sequence[bytes],
    number: int,
    ends: float,
    load: Load,
    normal: Callable[[bytes], bytes],
    patience_s: float,
    pause_s: float,
) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    turn = number
    while time.monotonic() < ends:
        request = requests[turn % len(requests)]
        turn += 1
        began = time.perf_counter()
        try:
            if connection is None or connection[0].at_eof():  # given up while idle (RFC 9112, 9.3)
                connection = await asyncio.open_connection("127.0.0.1", port)
            status, headers, body = await asyncio.wait_for(_exchange(*connection, request), patience_s)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
            status, headers, body = 0, {}, b""
        took = time.perf_counter() - began
        load.longest_s = max(load.longest_s, took)
        load.statuses[status] = load.statuses.get(status, 0) + 1
        if status == 200:
            load.latencies_s.append(took)
            load.bodies.add(normal(body))
        if status == 503:
            if b"retry-after" not in headers:
                load.without_retry_after += 1
            await asyncio.sleep(pause_s)
        if (status == 0 or headers.get(b"connection") == b"close") and connection:
            connection[1].close()
            connection = None
    if connection:
        connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, dict[bytes, bytes], bytes]:
    writer.write(request)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return int(first.split()[1]), headers, body
