"""The measuring process: opens one network in one engine, times it, runs it over rows.

{"do": "open", "spawned", "model", "engine", "device", "threads", "options",
 "inputs": {NAME: rows.npy}}
{"do": "time", "runs": N}
{"do": "outputs", "out": "outputs.npz"}
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from edgeproof.core.errors import InputError, WorkerError
from edgeproof.core.protocols import Engine
from edgeproof.core.tensor import Array
from edgeproof.engines import open_engine
from edgeproof.measure.memory import peak_mb, reset_peak
from edgeproof.measure.worker_loop import serve

_FEEDS = 8  # different inputs that the timing loop goes round: real branches and caches, little memory


class _Measurer:
    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._rows: dict[str, Array] = {}
        self._feeds: list[dict[str, Array]] = []
        self._next = 0

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "open":
                return self._open(request)
            case "time":
                return self._time(request["runs"])
            case "outputs":
                return self._outputs(request["out"])
            case other:
                raise WorkerError(f"Unknown request {other!r}.")

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        engine = open_engine(
            request["model"],
            engine=request["engine"],
            device=request["device"],
            threads=request["threads"],
            options=request["options"],
        )
        loaded = time.monotonic()
        memory = {"load": peak_mb()}
        reset_peak()
        self._engine = engine
        self._rows = {name: np.load(path, mmap_mode="r") for name, path in request["inputs"].items()}
        count = len(next(iter(self._rows.values())))
        if not count:
            raise InputError("There are no input rows to measure with.")
        self._feeds = [self._feed(row) for row in range(min(count, _FEEDS))]
        before = time.monotonic()
        engine.run(self._feeds[0])
        first = time.monotonic()
        memory["first"] = peak_mb()
        reset_peak()
        return {
            "cold_s": first - request["spawned"],
            "load_s": loaded - started,
            "first_ms": (first - before) * 1e3,
            "memory_mb": memory,
            "info": asdict(engine.info),
        }

    def _feed(self, row: int) -> dict[str, Array]:
        assert self._engine is not None
        return {
            spec.name: np.ascontiguousarray(self._rows[spec.name][row : row + 1]).astype(spec.dtype)
            for spec in self._engine.inputs
        }

    def _time(self, runs: int) -> dict[str, Any]:
        assert self._engine is not None
        run, feeds, clock, start = self._engine.run, self._feeds, time.perf_counter_ns, self._next
        latencies = []
        for index in range(start, start + runs):
            feed = feeds[index % len(feeds)]
            before = clock()
            run(feed)
            latencies.append(clock() - before)
        self._next = start + runs
        return {"latency_ms": [ns / 1e6 for ns in latencies], "memory_mb": {"steady": peak_mb()}}

    def _outputs(self, out: str) -> dict[str, Any]:
        assert self._engine is not None
        count = len(next(iter(self._rows.values())))
        answers = [self._engine.run(self._feed(row)) for row in range(count)]
        arrays = {
            spec.name: np.concatenate([answer[spec.name] for answer in answers])
            for spec in self._engine.outputs
        }
        np.savez(out, **arrays)  # type: ignore[arg-type]
        return {"rows": count}


if __name__ == "__main__":
    serve(_Measurer().handle)
