"""The networks of one worker: tasks with theirs, and those that only /v2 has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.bundles.bundle import Bundle, is_bundle, open_bundle
from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import UnknownNameError
from edgeproof.core.protocols import Engine
from edgeproof.core.registry import Registry
from edgeproof.engines import open_engine
from edgeproof.imaging.decode import Picture, decode
from edgeproof.serve.answers.protocol import Answer
from edgeproof.serve.answers.shared import Shared, SharedDetector
from edgeproof.serve.inference import DATATYPES, infer
from edgeproof.serve.tasks import DRAWN_SIDE, PARTS, TASK_ROWS
from edgeproof.verify.golden import check_golden

_WARM_SIDE = 64


class _Model:
    """A network that only /v2 has."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = _open_checked(self._path)
            return self._engine

    def close(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


def _open_checked(path: Path) -> Engine:
    """A bundle's network after its digests and golden outputs were checked, or an .onnx file's."""
    if not is_bundle(path):
        return open_engine(path)
    bundle = open_bundle(path)
    engine = _open(bundle)
    try:
        check_golden(bundle, engine)
    except BaseException:
        engine.close()
        raise
    return engine


def _open(bundle: Bundle) -> Engine:
    need = bundle.manifest.engine
    return open_engine(
        bundle.model, engine=need.name, device=need.device, threads=need.threads, options=need.options
    )


def _of_tasks(tasks: Sequence[str], models: Mapping[str, str]) -> dict[str, tuple[str, Path]]:
    """A bundle made for a served task, or whatever is called as that task is."""
    found = {}
    for name, path in models.items():
        if name in tasks:
            found[name] = (name, Path(path))
        elif is_bundle(path) and (task := open_bundle(path).manifest.task) in tasks:
            found.setdefault(task, (name, Path(path)))
    return found


class Networks:
    """Everything that a worker can run.

    Arguments:
        tasks: names of `TASK_ROWS`.
        models: paths of bundles and .onnx files by name.
        batch_wait_s: the longest that a request waits for others to be run with; 0 for never.
    """

    def __init__(self, tasks: Sequence[str], models: Mapping[str, str], batch_wait_s: float = 0.0) -> None:
        # What a served task runs on is not opened twice: task -> its name on the command line and its path.
        parts = {name: Path(path) for name, path in models.items() if name in PARTS}
        self._of_tasks = _of_tasks(tasks, {name: path for name, path in models.items() if name not in parts})
        taken = {name for name, _ in self._of_tasks.values()} | parts.keys()
        self._models = {name: _Model(path) for name, path in models.items() if name not in taken}
        rows = Registry("task", {name: row.answer for name, row in TASK_ROWS.items()})
        self._shared = Shared(
            SharedDetector(parts.get("attributes-detector")), parts.get("attributes-gender"), batch_wait_s
        )
        self._tasks: dict[str, Answer] = {
            name: rows.load(name)(self._of_tasks[name][1] if name in self._of_tasks else None, self._shared)
            for name in tasks
        }
        # name that /v2 knows -> the task, and the name of the network in it
        self._of_task: dict[str, tuple[str, str]] = {}

    def open(self) -> list[dict[str, Any]]:
        """Open and run every one once, so that the first request finds all warm; what /v2 tells of each.

        Raises:
            EdgeproofError: one can't be used: its digest, its golden outputs, its engine.
        """
        rows = []
        for task, answer in self._tasks.items():
            for name, engine in self._named_engines(task, answer):
                rows.append(_describe(name, task, engine))
            grey = np.full((_WARM_SIDE, _WARM_SIDE, 3), 128, np.uint8)
            answer.answer(Picture(grey, _WARM_SIDE, _WARM_SIDE, 1))
        for name, model in self._models.items():
            rows.append(_describe(name, None, model.engine()))
            _warm(model.engine())
        _import_decoders()
        return rows

    def _named_engines(self, task: str, answer: Answer) -> list[tuple[str, Engine]]:
        engines = answer.engines()
        self._of_task.update({name: (task, name) for name in engines})
        named = list(engines.items())
        if task in self._of_tasks:
            alias, path = self._of_tasks[task]
            network = next(iter(engines))  # a task's first network is the one that a bundle is made of
            if is_bundle(path):
                check_golden(open_bundle(path), engines[network])
            if alias not in engines:
                self._of_task[alias] = (task, network)
                named.append((alias, engines[network]))
        return named

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """One request; the answer's head always has `timing_ms`."""
        match order["do"]:
            case "task":
                return self._look(order, body)
            case "infer":
                return self._infer(order, body)
            case "close":
                self._close(order["model"])
                return {"timing_ms": {}}, b""
            case other:
                raise UnknownNameError(f"A worker can't {other!r}.")

    def _look(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        answer = self._tasks[order["task"]]
        clock = _Clock()
        cover = TASK_ROWS[order["task"]].cover
        picture = decode(body, cover=max(cover, DRAWN_SIDE) if order["draw"] else cover)
        clock.lap("decode")
        result = answer.answer(picture)
        clock.lap("run")
        head = {
            "document": {"width": picture.width, "height": picture.height, "result": result},
            "timing_ms": clock.laps,
            "runs": self._shared.taken_runs(),
        }
        if not order["draw"]:
            return head, b""
        return head, _jpeg(answer.draw(picture, result))

    def _infer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        name = order["model"]
        clock = _Clock()
        inferred = infer(self._engine(name), name, body, order["json_bytes"])
        clock.lap("run")
        head = {"json_bytes": len(inferred.document), "timing_ms": clock.laps}
        return head, b"".join((inferred.document, *inferred.tensors))

    def _engine(self, name: str) -> Engine:
        if name in self._models:
            return self._models[name].engine()
        task, network = self._of_task[name]
        return self._tasks[task].engines()[network]

    def _close(self, name: str) -> None:
        closing: Callable[[], None] = (
            self._models[name].close if name in self._models else self._tasks[self._of_task[name][0]].close
        )
        closing()
        release_free_memory()


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now


def _describe(name: str, task: str | None, engine: Engine) -> dict[str, Any]:
    def tensors(specs: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": spec.name,
                "datatype": DATATYPES[spec.dtype],
                # The protocol's way to say "any size".
                "shape": [size if isinstance(size, int) else -1 for size in spec.shape],
            }
            for spec in specs
        ]

    return {
        "name": name,
        "task": task,
        "platform": f"{engine.info.name}_{engine.info.provider}",
        "engine": engine.info.name,
        "provider": engine.info.provider,
        "inputs": tensors(engine.inputs),
        "outputs": tensors(engine.outputs),
    }


def _warm(engine: Engine) -> None:
    """Run once on zeros, where the sizes are known."""
    if all(isinstance(size, int) for spec in engine.inputs for size in spec.shape[1:]):
        engine.run(
            {
                spec.name: np.zeros([size if isinstance(size, int) else 1 for size in spec.shape], spec.dtype)
                for spec in engine.inputs
            }
        )


def _import_decoders() -> None:
    import simplejpeg  # on the first picture it would take 20 ms

    simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8)))


def _jpeg(pixels: Any) -> bytes:
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(pixels, quality=90))
