"""The front's end of a channel to a worker."""

from __future__ import annotations

import asyncio
import socket

from edgeproof.serve.channel import (
    LENGTHS,
    ChannelClosedError,
    Message,
    encode_start,
    read_head,
    read_lengths,
)


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
            await loop.sock_sendall(self._end, encode_start(message))
            if len(message.body):
                await loop.sock_sendall(self._end, message.body)
        except OSError as error:
            raise ChannelClosedError from error

    async def receive(self) -> Message:
        """Wait for one message.

        Raises:
            ChannelClosedError: the worker has gone.
        """
        head, body = read_lengths(await self._exactly(LENGTHS.size))
        return Message(read_head(await self._exactly(head)), await self._exactly(body))

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
