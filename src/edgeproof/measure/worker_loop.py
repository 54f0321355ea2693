"""The child's side of `edgeproof.measure.process`."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from edgeproof.core.allocator import return_large_blocks
from edgeproof.core.errors import EdgeproofError, WorkerError


def serve(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests until the parent closes the pipe."""
    return_large_blocks()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between our answers
    limit = os.environ.get("EDGEPROOF_WORKER_MEMORY_MB")
    if limit:
        bytes_ = int(limit) * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (bytes_, bytes_))
    for line in sys.stdin.buffer:
        try:
            answer = handle(msgspec.json.decode(line))
        except EdgeproofError as error:
            answer = {"error": error.as_json()}
        except MemoryError:
            answer = {"error": WorkerError("out of memory", hint="Give it more, or fewer photos.").as_json()}
        except Exception as error:  # a bug of ours or of a library: a row with its reason, not a lost answer
            answer = {"error": WorkerError(f"{type(error).__name__}: {error}"[:500]).as_json()}
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()
