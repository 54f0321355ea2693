"""One worker process as the front sees it: started, ready, asked, ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import WorkerError

if TYPE_CHECKING:
    from edgeproof.serve.front_channel import FrontChannel

COMMAND = [sys.executable, "-m", "edgeproof.serve.worker"]


class WorkerProcess:
    """`python -m edgeproof.serve.worker`, started when made, with one socket for each of its threads.

    Arguments:
        threads: pictures that it looks at side by side.
        command: another program that speaks as this one does.
    """

    def __init__(self, threads: int, command: Sequence[str] | None = None) -> None:
        self.started = time.monotonic()
        pairs = [socket.socketpair() for _ in range(threads + 1)]
        theirs = [end.fileno() for _, end in pairs]
        self._process = subprocess.Popen(
            [*(command or COMMAND), *map(str, theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=theirs,
            # Each thread that allocates would make a heap of its own, and keep what it once took.
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
            start_new_session=True,
        )
        for _, end in pairs:
            end.close()
        # asyncio comes with it: that is loaded while the process loads its libraries, and not before it is there.
        from edgeproof.serve.front_channel import FrontChannel

        self._control: FrontChannel
        self.slots: list[FrontChannel]
        self._control, *self.slots = (FrontChannel(end) for end, _ in pairs)
        self.models: list[dict[str, Any]] = []
        self.ending = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Tell it what to open, and wait until all of it has run once; what /v2 tells of each network.

        Raises:
            WorkerError: it died while it started, or a network can't be used, with the reason.
        """
        from edgeproof.serve.channel import ChannelClosedError, Message

        try:
            answer = (await self._control.ask(Message(dict(order)))).head
        except ChannelClosedError as error:
            raise WorkerError(
                f"A worker ended while it started ({self._how_it_ended()}).",
                hint="What it said stands above; too little memory is the usual reason.",
            ) from error
        if "error" in answer:
            said = answer["error"]
            raise WorkerError(said["message"], hint=said["hint"])
        self.models = answer["models"]
        return self.models

    async def ended(self) -> None:
        """Wait until it has ended; it never sends anything more on this socket."""
        from edgeproof.serve.channel import ChannelClosedError

        with contextlib.suppress(ChannelClosedError):
            await self._control.receive()
        self.kill()

    def kill(self) -> None:
        """End it at once; what it is doing is lost."""
        self.ending = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End it and forget it."""
        self.kill()
        self._process.wait()
        for channel in (self._control, *self.slots):
            channel.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(1.0)  # it has hung up, so it is about to end if it hasn't
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit {code}"
