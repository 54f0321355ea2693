"""What the tasks of one worker have in common: the detector of faces, and how rows are put together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeproof.core.protocols import Engine
from edgeproof.serve.batching import Batcher, Rows
from edgeproof.tasks.face_detection import FaceDetector

# A look at 960 pixels takes 40 MB, at 640 less than half; of 20 pixels there a face is
# still found.
LONG_SIDE = 640
# Faces in one run: on a processor two take a twelfth less time a face than one, more no less than two, and each takes
# 3 MB.
TOGETHER = 4


class SharedDetector:
    """The one detector of faces of a worker, open as long as one of the tasks that use it is.

    EXIF's orientation is applied and no other is tried: the network that tells whether a picture is turned would take
    25 MB more, and `/v1/orientation` has it.

    Arguments:
        model: a bundle or an .onnx file; None for the catalogue's default.
    """

    def __init__(self, model: Path | None = None) -> None:
        self.faces = FaceDetector(model, long_side=LONG_SIDE)
        self._held_by: set[str] = set()
        self._lock = threading.Lock()

    def open(self, task: str) -> Engine:
        """Open it for a task.

        Raises:
            ModelMissingError: it is not installed.
        """
        with self._lock:
            engine, _ = self.faces.open()
            self._held_by.add(task)
            return engine

    def close(self, task: str) -> None:
        """Close it if no other task has it open."""
        with self._lock:
            self._held_by.discard(task)
            if not self._held_by:
                self.faces.close()


@dataclass
class Shared:
    """What every task of a worker is given.

    Attributes:
        gender: the network for genders, where the one for attributes tells ages only.
        batch_wait_s: the longest that a request waits for others to be run with; 0 for never.
        runs: network, rows and requests of each run of several rows since somebody looked last.
    """

    detector: SharedDetector = field(default_factory=SharedDetector)
    gender: Path | None = None
    batch_wait_s: float = 0.0
    runs: deque[tuple[str, int, int]] = field(default_factory=lambda: deque(maxlen=1000))

    def batcher(self, name: str, run: Callable[[Rows], Any], network: Callable[[], Engine]) -> Batcher:
        """What puts rows of several requests together for a network.

        Arguments:
            name: under which its runs are counted.
            run: rows to answers.
            network: what runs them; one of a fixed batch takes no more for being given more.
        """
        return Batcher(
            run,
            takes_batches=lambda: not isinstance(network().inputs[0].shape[0], int),
            most=TOGETHER,
            longest_wait_s=self.batch_wait_s,
            on_run=lambda rows, requests: self.runs.append((name, rows, requests)),
        )

    def taken_runs(self) -> list[tuple[str, int, int]]:
        """The runs that nobody has counted yet."""
        return [self.runs.popleft() for _ in range(len(self.runs))]
