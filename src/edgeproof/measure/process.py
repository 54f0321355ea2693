"""A child process that answers requests, one JSON line each way.

Each measured or built thing gets a fresh one, so that no allocation, cache or crash of another reaches it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import msgspec

from edgeproof.core import errors
from edgeproof.core.errors import EdgeproofError, WorkerError

_MAX_LINE = 256 << 20


class WorkerProcess:
    """`python -m MODULE`, started when made; a context manager that leaves no process behind.

    Arguments:
        module: one that calls `serve()` of `edgeproof.measure.worker_loop`.
        memory_mb: its limit of private memory; None for no limit.
    """

    def __init__(self, module: str, *, memory_mb: int | None = None) -> None:
        self.spawned = time.monotonic()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._buffer = b""
        # A place of its own for temporary files, ours and its libraries': they go when it goes, however it ends.
        self._folder = tempfile.TemporaryDirectory(prefix="edgeproof-worker-", ignore_cleanup_errors=True)
        environment = os.environ | {
            "EDGEPROOF_WORKER_MEMORY_MB": str(memory_mb or ""),
            "TMPDIR": self._folder.name,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            # Ctrl-C in a terminal goes to its whole group: the parent decides when workers end.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, request: dict[str, Any]) -> None:
        """Send a request without waiting for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._died() from error

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the next answer.

        Raises:
            WorkerError: the process died, or took longer than `timeout_s` (it is then ended).
            EdgeproofError: the error that the worker met, as it was raised there.
        """
        answer: dict[str, Any] = msgspec.json.decode(self._read_line(timeout_s))
        if "error" in answer:
            raise _rebuild(answer["error"])
        return answer

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.send(request)
        return self.receive(timeout_s)

    def close(self) -> None:
        """End the process and wait for it; closing twice is allowed."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        self._stderr.close()
        self._folder.cleanup()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = deadline - time.monotonic()
                if left <= 0 or len(self._buffer) > _MAX_LINE:
                    self._process.kill()
                    raise WorkerError(
                        f"Gave up after {timeout_s:.0f} s without an answer.",
                        hint="The network is far too slow here, or hangs: try fewer threads.",
                    )
                if selector.select(left):
                    piece = os.read(self._process.stdout.fileno(), 1 << 16)
                    if not piece:
                        raise self._died()
                    self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _died(self) -> WorkerError:
        code = self._process.wait()
        self._stderr.seek(0)
        said = self._stderr.read()[-2000:].decode(errors="replace").strip().splitlines()
        why = f"exit {code}"
        if code < 0:
            name = signal.Signals(-code).name
            why = f"{name}, probably out of memory" if name == "SIGKILL" else name
        return WorkerError(
            f"crashed: {why}" + (f" ({said[-1][:200]})" if said else ""),
            hint="The rest is not affected; this one can't be used here.",
        )


def _rebuild(error: dict[str, str]) -> EdgeproofError:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, EdgeproofError) and kind.code == error["code"]:
            return kind(error["message"], hint=error["hint"])
    return EdgeproofError(error["message"], hint=error["hint"])
