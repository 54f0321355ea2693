"""The faces pipeline measured on somebody's own pictures: one picture after the other, against side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import DataError, EdgeproofError
from edgeproof.devices.host import usable_cores
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.candidates import FEWEST_CROPS, Candidate, candidates
from edgeproof.library.faces.faces import OF_ONE_PICTURE, Faces
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.statistics import percentile, ratio_interval

SERIAL, PIPELINED = "serial f32", "pipelined f32"
WORKER = "edgeproof.library.faces.worker"
_BLOCK_S = (
    2.0  # of the slowest way: long against what starting a turn costs, short against the machine's moods
)
_MOST_BLOCK = 64
_TIMEOUT_S = 600.0
_CROPS = 160
_LEAST_ROUNDS = 3


@dataclass
class Way:
    """One way, and what was measured of it; raw values are kept.

    Attributes:
        blocks: milliseconds between the results, one list for each turn.
        images, faces, errors: in all turns.
        first_s: seconds an image of the first few, which nothing else is made of but the size of a turn.
        resident_mb: after each turn.
    """

    id: str
    request: dict[str, Any]
    candidate: Candidate | None = None
    blocks: list[list[float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images: int = 0
    faces: int = 0
    errors: int = 0
    open_s: float | None = None
    first_s: float = 0.0
    resident_mb: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    error: EdgeproofError | None = None
    accuracy: float | None = None

    @property
    def rate(self) -> float | None:
        """Images a second, the median of the turns."""
        return float(np.median(_rates(self))) if self.seconds else None

    def slope_kb(self) -> float | None:
        """Growth of resident memory in kB an image over the second half of the run (Theil-Sen); None if too short."""
        half = self.resident_mb[len(self.resident_mb) // 2 :]
        if len(half) < _LEAST_ROUNDS:
            return None
        each = self.images / len(self.resident_mb)
        pairs = [(j, i) for i in range(len(half)) for j in range(i + 1, len(half))]
        return float(np.median([(half[j] - half[i]) / (j - i) / each for j, i in pairs]) * 1e3)

    def as_json(self, baseline: Way) -> dict[str, Any]:
        """One row of the document."""
        steps = [value for block in self.blocks for value in block]
        ratio = None
        if self.blocks and baseline.blocks and self is not baseline and len(self.seconds) >= 2:
            # A block's mean time an image: pipelined results come in bursts, whose single steps mean nothing.
            ratio = ratio_interval([[t] for t in self.seconds], [[t] for t in baseline.seconds])
        return {
            "id": self.id,
            "images": self.images,
            "faces": self.faces,
            "errors": self.errors,
            "images_per_s": self.rate,
            "speedup": None if ratio is None else {"value": 1 / ratio[0], "ci": [1 / ratio[2], 1 / ratio[1]]},
            "per_image_ms": {
                name: percentile(steps, p) if steps else None for name, p in _PERCENTILES.items()
            },
            "peak_mb": self.peak_mb,
            "slope_kb_per_image": self.slope_kb(),
            "open_s": self.open_s,
            "accuracy": self.accuracy,
            "candidate": self.candidate.as_json() if self.candidate else None,
            "error": self.error.as_json() if self.error else None,
            "raw": {"seconds": self.seconds, "resident_mb": self.resident_mb},
        }


_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def _rates(way: Way) -> list[float]:
    return [len(block) / seconds for block, seconds in zip(way.blocks, way.seconds, strict=True)]


def sample_crops(photos: Sequence[Path], faces: Faces, most: int = _CROPS) -> Any:
    """Aligned faces uint8 (N, S, S, 3) of as many pictures as are needed for `most`.

    Raises:
        DataError: there are too few faces to measure with.
    """
    found: list[Any] = []
    for photo in photos:
        try:
            pixels = decode(photo).pixels
            found.extend(faces.cut(pixels, faces.detect(pixels), quality=False).crops)
        except OF_ONE_PICTURE:
            continue
        if len(found) >= most:
            break
    if not found:
        raise DataError("No face was found in these pictures.", hint="Give pictures with faces in them.")
    return np.stack(found[:most])


def plan(faces: dict[str, Any], found: Sequence[Candidate], budget: float | None) -> list[Way]:
    """The ways to measure: serial and pipelined in float32, and pipelined with each candidate that was let in.

    Arguments:
        faces: keyword arguments of `Faces`.
        budget: bytes of each pipelined way.
    """
    cores = usable_cores()
    rest = {
        name: value
        for name, value in faces.items()
        if name not in ("recognizer", "flip", "engine", "options")
    }
    recognizer = {"model": faces.get("recognizer"), "flip": faces.get("flip", False)}
    shared = {"faces": rest, "threads": cores, "mem_budget": budget}
    ways = [
        # Its network has all cores for itself, as ONNX Runtime does it when nobody says otherwise.
        Way(
            SERIAL,
            {
                **shared,
                "faces": {**rest, "threads": cores},
                "recognizer": {**recognizer, "threads": cores},
                "serial": True,
            },
        ),
        Way(PIPELINED, {**shared, "recognizer": recognizer, "serial": False}),
    ]
    for one in found:
        if not one.refused:
            chosen = {**recognizer, "model": one.model, "engine": one.engine, "options": one.options}
            ways.append(Way(f"pipelined {one.id}", {**shared, "recognizer": chosen, "serial": False}, one))
    return ways


def measure(
    ways: list[Way],
    photos: Sequence[Path],
    *,
    seconds: float,
    progress: Callable[[float], None] = lambda _done: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Measure all ways in turns, each in a process of its own, until the time is over; adds to `ways`.

    One process works at a time. Turn i of each way saw the same pictures within the same few seconds, whatever the
    machine did meanwhile.
    """
    with ExitStack() as stack:
        workers = {way.id: stack.enter_context(WorkerProcess(WORKER)) for way in ways}
        for way in ways:
            _guarded(way, partial(_open, way, workers[way.id], photos[:4]))
        slowest = max((way.first_s for way in ways if way.error is None), default=1.0)
        size = max(2, min(_MOST_BLOCK, int(_BLOCK_S / max(slowest, 1e-4))))
        started, turn = clock(), 0
        while turn < _LEAST_ROUNDS or clock() - started < seconds:
            block = [str(photos[(turn * size + i) % len(photos)]) for i in range(size)]
            # Each way comes first as often as last: what follows a hot processor is at a disadvantage.
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                if way.error is None:
                    _guarded(way, partial(_block, way, workers[way.id], block))
            turn += 1
            progress(min(1.0, (clock() - started) / max(seconds, 1e-9)))


def _guarded(way: Way, step: Callable[[], None]) -> None:
    try:
        step()
    except EdgeproofError as error:
        way.error = error


def _open(way: Way, worker: WorkerProcess, photos: Sequence[Path]) -> None:
    way.open_s = worker.ask({"do": "open", **way.request}, _TIMEOUT_S)["open_s"]
    answer = worker.ask({"do": "run", "photos": [str(photo) for photo in photos]}, _TIMEOUT_S)
    way.first_s = answer["seconds"] / max(len(photos), 1)


def _block(way: Way, worker: WorkerProcess, photos: list[str]) -> None:
    answer = worker.ask({"do": "run", "photos": photos}, _TIMEOUT_S)
    way.blocks.append(answer["per_image_ms"])
    way.seconds.append(answer["seconds"])
    way.images += len(photos)
    way.faces += answer["faces"]
    way.errors += answer["errors"]
    way.peak_mb = answer["peak_mb"]
    if answer["resident_mb"] is not None:
        way.resident_mb.append(answer["resident_mb"])


def best_of(ways: Sequence[Way]) -> Way | None:
    """The pipelined way with the most images a second."""
    ran = [way for way in ways if way.rate is not None and way.id != SERIAL and way.error is None]
    return max(ran, key=lambda way: way.rate or 0.0, default=None)


def find_candidates(photos: Sequence[Path], faces: dict[str, Any], out: Path) -> list[Candidate]:
    """Faster forms of the recogniser, judged on faces of these pictures.

    Raises:
        DataError: no face was found.
    """
    with Faces(**{**faces, "engine": "onnxruntime", "options": None}) as looker:
        crops = sample_crops(photos, looker.open())
        if len(crops) < FEWEST_CROPS:
            return []
        return candidates(looker.recognizer, crops, out)


def verified(way: Way, pairs: str, images: str, *, workers: int) -> float:
    """The share of pairs that a way tells apart rightly; see `edgeproof faces verify`."""
    from edgeproof.library.faces.verify import verify_pairs
    from edgeproof.tasks.face_recognition import FaceRecognizer
    from edgeproof.verify.pairs import read_pairs

    request = way.request
    recognizer = FaceRecognizer(**{**request["recognizer"], "threads": 1})
    with Faces(recognizer=recognizer, **{**request["faces"], "threads": 1}) as looker:
        return float(verify_pairs(read_pairs(pairs), images, looker, workers=workers).as_json()["accuracy"])
