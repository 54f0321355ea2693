"""What front and worker say to each other: a small dictionary and bytes, over a socket between the two.

One message: two lengths (4 and 8 bytes, big-endian), the dictionary as MessagePack, the bytes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, NamedTuple

import msgspec

_LENGTHS = struct.Struct("!IQ")
_MAX_HEAD = 8 << 20
_MAX_BODY = 1 << 30


class Message(NamedTuple):
    """A dictionary of plain values, and bytes."""

    head: dict[str, Any]
    body: bytes | bytearray | memoryview = b""


class ChannelClosedError(Exception):
    """The other side has gone, or says what is no message."""


def _start(message: Message) -> bytes:
    head = msgspec.msgpack.encode(message.head)
    return _LENGTHS.pack(len(head), len(message.body)) + head


def _lengths(data: bytes | bytearray) -> tuple[int, int]:
    head, body = _LENGTHS.unpack(data)
    if head > _MAX_HEAD or body > _MAX_BODY:
        raise ChannelClosedError
    return head, body


def _head(data: bytes | bytearray) -> dict[str, Any]:
    try:
        return msgspec.msgpack.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ChannelClosedError from error


class FrontChannel:
    """The front's end."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end

    async def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            ChannelClosedError: the worker has gone.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._end, _start(message))
            if len(message.body):
                await loop.sock_sendall(self._end, message.body)
        except OSError as error:
            raise ChannelClosedError from error

    async def receive(self) -> Message:
        """Wait for one message.

        Raises:
            ChannelClosedError: the worker has gone.
        """
        head, body = _lengths(await self._exactly(_LENGTHS.size))
        return Message(_head(await self._exactly(head)), await self._exactly(body))

    async def ask(self, message: Message) -> Message:
        """Send one and wait for the answer."""
        await self.send(message)
        return await self.receive()

    def close(self) -> None:
        """Hang up."""
        self._end.close()

    async def _exactly(self, count: int) -> bytearray:
        loop = asyncio.get_running_loop()
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            try:
                came = await loop.sock_recv_into(self._end, view[got:])
            except OSError as error:
                raise ChannelClosedError from error
            if not came:
                raise ChannelClosedError
            got += came
        return data


class WorkerChannel:
    """The worker's end: it waits, with a thread of its own."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message) -> None:
        """Send one message."""
        self._end.sendall(_start(message))
        if len(message.body):
            self._end.sendall(message.body)

    def receive(self) -> Message:
        """Wait for one message.

        Raises:
            ChannelClosedError: the front has gone.
        """
        head, body = _lengths(self._exactly(_LENGTHS.size))
        return Message(_head(self._exactly(head)), self._exactly(body))

    def _exactly(self, count: int) -> bytes:
        # The system waits for all of it and writes it where it stays: a picture is never copied.
        data = self._end.recv(count, socket.MSG_WAITALL) if count else b""
        while len(data) < count:
            more = self._end.recv(count - len(data), socket.MSG_WAITALL)
            if not more:
                raise ChannelClosedError
            data += more
        return data
