"""Reading a request's body: counted as it comes, and given up when it comes too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from edgeproof.serve.http_errors import HttpError, too_large

# What a refused request still sends is read and thrown away up to here: hanging up earlier would often lose our answer.
_MOST_THROWN_AWAY = 32_000_000
_THROW_AWAY_S = 3.0


class DisconnectedError(Exception):
    """Whoever asked has gone; nobody waits for an answer."""


def stated_length(request: Request, limit: int) -> int:
    """The bytes that the body will have at the most.

    Raises:
        HttpError: it is no number, or more than `limit`.
    """
    stated = request.headers.get("content-length")
    if stated is None:
        return limit if "transfer-encoding" in request.headers else 0
    if not stated.isdecimal() or not stated.isascii():
        raise HttpError(400, "bad_length", "Content-Length is no number.")
    if len(stated) > 18 or int(stated) > limit:
        raise too_large(f"The body may have {limit:,} bytes.", limit=limit)
    return int(stated)


class BodyReader:
    """One body.

    Arguments:
        limit: the most bytes that it may have.
        seconds: in which all of it must have come.
    """

    def __init__(self, request: Request, limit: int, seconds: float) -> None:
        self._request, self._limit, self._seconds = request, limit, seconds
        self._loop = asyncio.get_running_loop()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            HttpError: it is larger than the limit (413), or came too slowly (408).
            DisconnectedError: the client has gone.
        """
        ends, count = self._loop.time() + self._seconds, 0
        stream = self._request.stream().__aiter__()
        while True:
            try:
                piece = await asyncio.wait_for(stream.__anext__(), max(0.001, ends - self._loop.time()))
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:
                raise HttpError(
                    408, "too_slow", f"The body didn't come within {self._seconds:.0f} s.", headers=_CLOSE
                ) from None
            except ClientDisconnect:
                raise DisconnectedError from None
            count += len(piece)
            if count > self._limit:
                raise too_large(f"The body may have {self._limit:,} bytes.", limit=self._limit)
            yield piece

    async def whole(self) -> bytes:
        """All of it."""
        data = bytearray()
        async for piece in self.pieces():
            data += piece
        return bytes(data)


_CLOSE = {"connection": "close"}


async def throw_away(request: Request, problem: HttpError) -> HttpError:
    """Read what a refused request still sends, within bounds; the problem, made to hang up where more is to come."""
    if request.headers.get("expect", "").lower() == "100-continue":
        # It hasn't been told to go on, so nothing comes.
        problem.headers["connection"] = "close"
        return problem

    async def read() -> None:
        count = 0
        async for piece in request.stream():
            count += len(piece)
            if count > _MOST_THROWN_AWAY:
                problem.headers["connection"] = "close"
                return

    try:
        await asyncio.wait_for(read(), _THROW_AWAY_S)
    except asyncio.TimeoutError:
        problem.headers["connection"] = "close"
    except (ClientDisconnect, RuntimeError):  # gone, or read already as far as it went
        pass
    return problem
