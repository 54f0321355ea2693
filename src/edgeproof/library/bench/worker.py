"""The measuring process of a built-in task: a picture's whole path, from the file to the result, in its stages.

Answers the requests of `edgeproof.measure.worker`; what opens it has "task", "model", "photos" beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeproof.core.errors import WorkerError
from edgeproof.core.protocols import Engine, EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec
from edgeproof.engines import watch_engines
from edgeproof.imaging.decode import Picture, decode
from edgeproof.measure.worker import Measurer
from edgeproof.measure.worker_loop import serve

STAGES = ("decode", "prepare", "run", "decode_result")


class _Clock:
    """When the networks of a task ran since `begin`; engines report to it."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.seconds = 0.0
        self.infos: list[EngineInfo] = []

    def begin(self) -> None:
        self.first, self.seconds = None, 0.0

    def watch(self, engine: Engine) -> Engine:
        self.infos.append(engine.info)
        return _Watched(engine, self)


class _Watched:
    """An engine whose runs are timed."""

    def __init__(self, engine: Engine, clock: _Clock) -> None:
        self._engine, self._clock = engine, clock

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._engine.outputs

    def run(self, feeds: Tensors) -> dict[str, Array]:
        before = time.perf_counter()
        if self._clock.first is None:
            self._clock.first = before
        try:
            return self._engine.run(feeds)
        finally:
            self._clock.seconds += time.perf_counter() - before

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Path:
    """How a task takes a picture: decode the file, then everything else; `look` says how much it found."""

    def __init__(self, decode: Callable[[Path], Picture], look: Callable[[Picture], int]) -> None:
        self.decode, self.look = decode, look


def _orientation(request: dict[str, Any]) -> _Path:
    from edgeproof.tasks.orientation import Orientation

    task = Orientation(request["photo_model"], **_engine(request))
    task.open()

    def look(picture: Picture) -> int:
        task.look(picture.pixels)
        return 1

    return _Path(lambda file: decode(file, cover=task.cover), look)


def _faces(request: dict[str, Any]) -> _Path:
    from edgeproof.library.faces.faces import Faces

    task = Faces(request["photo_model"], **_engine(request)).open()

    def look(picture: Picture) -> int:
        return len(task.faces(picture.pixels, task.detect(picture.pixels)))

    return _Path(decode, look)


def _attributes(request: dict[str, Any]) -> _Path:
    from edgeproof.library.attributes.attributes import COVER, Attributes

    task = Attributes(request["photo_model"], **_engine(request)).open()
    return _Path(lambda file: decode(file, cover=COVER), lambda picture: len(task.look(picture)))


def _detect(request: dict[str, Any]) -> _Path:
    from edgeproof.library.detect.detector import Detector, decode_for

    task = Detector(request["photo_model"], **_engine(request)).open()
    return _Path(
        lambda file: decode_for(file, task.task), lambda picture: len(task.look(picture.pixels).detections)
    )


def _engine(request: dict[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in ("engine", "options", "threads")}


_TASKS = {"orientation": _orientation, "faces": _faces, "attributes": _attributes, "detect": _detect}


class _Task:
    def __init__(self, request: dict[str, Any]) -> None:
        if request["task"] not in _TASKS:
            raise WorkerError(f"There is no task {request['task']!r} to measure.")
        self._clock = _Clock()
        watch_engines(self._clock.watch)
        self._photos = [Path(photo) for photo in request["photos"]]
        self._path = _TASKS[request["task"]](request)
        self._stages: dict[str, list[float]] = {name: [] for name in STAGES}
        self._found = 0

    def items(self) -> list[Path]:
        return self._photos

    def run(self, item: Path) -> None:
        self._clock.begin()
        before = time.perf_counter()
        picture = self._path.decode(item)
        decoded = time.perf_counter()
        self._found += self._path.look(picture)
        done = time.perf_counter()
        first = done if self._clock.first is None else self._clock.first
        network = self._clock.seconds
        parts = (decoded - before, first - decoded, network, done - first - network)
        for name, part in zip(STAGES, parts, strict=True):
            self._stages[name].append(round(part * 1e3, 5))

    def info(self) -> dict[str, Any]:
        first = self._clock.infos[0]
        return {**asdict(first), "networks": [asdict(info) for info in self._clock.infos]}

    def taken(self) -> dict[str, Any]:
        stages, found = self._stages, self._found
        self._stages, self._found = {name: [] for name in STAGES}, 0
        return {"stages_ms": stages, "found": found}


if __name__ == "__main__":
    serve(Measurer(_Task).handle)
