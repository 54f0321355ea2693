"""Starting the process that has the galleries open, early: it loads while the front still imports."""

from __future__ import annotations

import sys

from edgeproof.serve.settings import Settings
from edgeproof.serve.worker_process import WorkerProcess

GALLERY_COMMAND = [sys.executable, "-m", "edgeproof.serve.gallery_worker"]
# One that waits for a database must not hold up the others; more would each take a heap of their own.
_MOST_THREADS = 4


def gallery_threads(settings: Settings) -> int:
    """How many threads it has."""
    return min(_MOST_THREADS, len(settings.galleries) + 1)


def gallery_process(settings: Settings) -> WorkerProcess:
    """One that is starting."""
    return WorkerProcess(gallery_threads(settings), GALLERY_COMMAND)
