"""What front and worker say to each other: a small dictionary and bytes, over a socket between the two.

One message: two lengths (4 and 8 bytes, big-endian), the dictionary as MessagePack, the bytes. The front's end is in
`front_channel`: a worker does without asyncio and what that brings, 4 MB.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

import msgspec

LENGTHS = struct.Struct("!IQ")
_MAX_HEAD = 8 << 20
_MAX_BODY = 1 << 30


class Message(NamedTuple):
    """A dictionary of plain values, and bytes."""

    head: dict[str, Any]
    body: bytes | bytearray | memoryview = b""


class ChannelClosedError(Exception):
    """The other side has gone, or says what is no message."""


def encode_start(message: Message) -> bytes:
    """All of a message but its bytes."""
    head = msgspec.msgpack.encode(message.head)
    return LENGTHS.pack(len(head), len(message.body)) + head


def read_lengths(data: bytes | bytearray) -> tuple[int, int]:
    """Of the dictionary and of the bytes.

    Raises:
        ChannelClosedError: no message of ours has such lengths.
    """
    head, body = LENGTHS.unpack(data)
    if head > _MAX_HEAD or body > _MAX_BODY:
        raise ChannelClosedError
    return head, body


def read_head(data: bytes | bytearray) -> dict[str, Any]:
    """The dictionary.

    Raises:
        ChannelClosedError: it is none.
    """
    try:
        return msgspec.msgpack.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ChannelClosedError from error


class WorkerChannel:
    """The worker's end: it waits, with a thread of its own."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message) -> None:
        """Send one message."""
        self._end.sendall(encode_start(message))
        if len(message.body):
            self._end.sendall(message.body)

    def receive(self) -> Message:
        """Wait for one message.

        Raises:
            ChannelClosedError: the front has gone.
        """
        head, body = read_lengths(self._exactly(LENGTHS.size))
        return Message(read_head(self._exactly(head)), self._exactly(body))

    def _exactly(self, count: int) -> bytes:
        # The system waits for all of it and writes it where it stays: a picture is never copied.
        data = self._end.recv(count, socket.MSG_WAITALL) if count else b""
        while len(data) < count:
            more = self._end.recv(count - len(data), socket.MSG_WAITALL)
            if not more:
                raise ChannelClosedError
            data += more
        return data
