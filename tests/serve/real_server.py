"""A service in processes of its own, as users start it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.processes import start


class RealServer:
    """A service that is ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        self.facts: dict[str, Any] = json.loads(line)
        self.url: str = self.facts["url"]

    @property
    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def raw(self, data: bytes, *, timeout_s: float = 20.0) -> bytes:
        """What comes back for these bytes, until the service hangs up."""
        with socket.create_connection(("127.0.0.1", self.facts["port"]), timeout_s) as line:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(data)
            return read_all(line)

    def end(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it said."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said


def read_all(line: socket.socket) -> bytes:
    came = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(1 << 16):
            came += piece
    return came


@contextlib.contextmanager
def running(*options: str, task: str = "orientation") -> Iterator[RealServer]:
    """`edgeproof serve --task TASK OPTIONS` while the block runs; "" for the tasks that are served by default."""
    chosen = ["--task", task] if task else []
    process = start("serve", "--port", "0", "--json", *chosen, *options)
    try:
        yield RealServer(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
