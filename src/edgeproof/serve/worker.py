"""A worker process: opens the networks, says so, and answers one picture a thread until the front hangs up."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from edgeproof.core.allocator import release_free_memory, return_large_blocks
from edgeproof.core.errors import EdgeproofError, WorkerError
from edgeproof.serve.channel import ChannelClosedError, Message, WorkerChannel


class Work(Protocol):
    """What a worker has open."""

    def open(self) -> list[dict[str, Any]]:
        """Open all of it; what the front has to know of each."""

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """One order, in a thread of its own; the answer's head always has `timing_ms`."""


def main(arguments: list[str], make: Callable[[dict[str, Any]], Work]) -> None:
    """`CONTROL SLOT...`: numbers of the sockets that the front left open for this process.

    Arguments:
        make: what it has open, from the front's first message.
    """
    return_large_blocks()
    # Ctrl-C in a terminal and systemd's SIGTERM reach every process of ours: the front decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Pillow's say what stands in a picture
    control, *slots = (WorkerChannel(socket.socket(fileno=int(number))) for number in arguments)
    work = _open(control, make)
    for slot in slots:
        threading.Thread(target=_answer_all, args=(slot, work), daemon=True).start()
    with contextlib.suppress(ChannelClosedError, OSError):
        control.receive()
    # Without waiting for a run that may never end.
    os._exit(0)


def _open(control: WorkerChannel, make: Callable[[dict[str, Any]], Work]) -> Work:
    try:
        order = control.receive().head
    except (ChannelClosedError, OSError):
        os._exit(0)
    try:
        work = make(order)
        control.send(Message({"ready": True, "models": work.open()}))
    except EdgeproofError as error:
        control.send(Message({"error": error.as_json()}))
        os._exit(1)
    except Exception as error:  # a bug or a library's: the start stops with a reason, not with a silence
        control.send(Message({"error": _unforeseen(error)}))
        os._exit(1)
    release_free_memory()
    return work


def _answer_all(slot: WorkerChannel, work: Work) -> None:
    while True:
        try:
            slot.send(_answer(slot.receive(), work))
        except (ChannelClosedError, OSError):
            return


def _answer(message: Message, work: Work) -> Message:
    started = time.perf_counter()
    try:
        head, body = work.answer(message.head, bytes(message.body))
    except EdgeproofError as error:
        return Message({"error": error.as_json()})
    except MemoryError:
        # The picture, not the process: everything that it took is free again.
        return Message({"error": WorkerError("There was not enough memory for it.").as_json()})
    except Exception as error:  # a bug of ours or of a library: this request's answer, not the process's end
        return Message({"error": _unforeseen(error)})
    timing = {name: round(ms, 3) for name, ms in head.pop("timing_ms").items()}
    timing["worker"] = round((time.perf_counter() - started) * 1e3, 3)
    return Message({**head, "timing_ms": timing}, body)


def _unforeseen(error: Exception) -> dict[str, Any]:
    # Its class and no more: the text may hold something of the picture.
    print(f"edgeproof worker: {type(error).__name__}", file=sys.stderr)  # noqa: T201
    return {"code": "internal", "message": f"Unforeseen: {type(error).__name__}.", "hint": ""}


if __name__ == "__main__":
    from edgeproof.serve.networks import Networks

    main(sys.argv[1:], lambda order: Networks(**order))
