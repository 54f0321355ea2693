"""The measuring process: opens one network in one engine, times it, runs it over rows.

{"do": "open", "spawned", "model", "engine", "device", "threads", "options",
 "inputs": {NAME: rows.npy}, "whole": BOOL}
{"do": "time", "runs": N}
{"do": "arrive", "rate_hz": HZ, "count": N}
{"do": "memory"}

The process of another package measures something else by the same requests: a `Subject` of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from edgeproof.core.errors import InputError, WorkerError
from edgeproof.core.tensor import Array
from edgeproof.engines import open_engine
from edgeproof.measure.memory import peak_mb, pss_mb, reset_peak
from edgeproof.measure.processor import clock_mhz, waited_s
from edgeproof.measure.timing import time_arrivals, time_runs
from edgeproof.measure.worker_loop import serve

_FEEDS = 8  # different inputs that the timing loop goes round: real branches and caches, little memory


class Subject(Protocol):
    """What is measured; making one loads it."""

    def items(self) -> Sequence[Any]:
        """What `run` is given in turn."""
        ...

    def run(self, item: Any) -> object: ...

    def info(self) -> dict[str, Any]:
        """What really runs; asked after the first run."""
        ...

    def taken(self) -> dict[str, Any]:
        """What else the runs since the last call gave, beside their latencies."""
        ...


class Measurer:
    """Answers the requests of the module's text about one subject.

    Arguments:
        load: makes it from the request that opens it.
    """

    def __init__(self, load: Callable[[dict[str, Any]], Subject]) -> None:
        self._load = load
        self._subject: Subject | None = None
        self._items: Sequence[Any] = ()
        self._next = 0

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request to its answer."""
        match request["do"]:
            case "open":
                return self._open(request)
            case "time":
                return self._time(request["runs"])
            case "arrive":
                return self._arrive(request["rate_hz"], request["count"])
            case "memory":
                return {"memory_mb": {"steady": peak_mb(), "pss": pss_mb()}}
            case other:
                raise WorkerError(f"Unknown request {other!r}.")

    @property
    def _opened(self) -> Subject:
        assert self._subject is not None
        return self._subject

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        subject = self._subject = self._load(request)
        loaded = time.monotonic()
        memory = {"load": peak_mb()}
        reset_peak()
        self._items = subject.items()
        before = time.monotonic()
        subject.run(self._items[0])
        first = time.monotonic()
        memory["first"] = peak_mb()
        reset_peak()
        subject.taken()
        return {
            "cold_s": first - request["spawned"],
            "load_s": loaded - started,
            "first_ms": (first - before) * 1e3,
            "memory_mb": memory,
            "info": subject.info(),
        }

    def _time(self, runs: int) -> dict[str, Any]:
        waited, started = waited_s(), time.monotonic()
        taken = time_runs(self._opened.run, self._items, runs, self._next)
        self._next += runs
        return {"latency_ms": [ns / 1e6 for ns in taken], **self._circumstances(waited, started)}

    def _arrive(self, rate_hz: float, count: int) -> dict[str, Any]:
        waited, started = waited_s(), time.monotonic()
        seen = time_arrivals(self._opened.run, self._items, rate_hz=rate_hz, count=count)
        return {**asdict(seen), **self._circumstances(waited, started)}

    def _circumstances(self, waited: float | None, started: float) -> dict[str, Any]:
        now, seconds = waited_s(), time.monotonic() - started
        share = None if waited is None or now is None else max(0.0, now - waited) / max(seconds, 1e-9)
        return {
            "memory_mb": {"steady": peak_mb()},
            "waited": share,
            "mhz": clock_mhz(),
            **self._opened.taken(),
        }


class Network:
    """One network, opened from a request of the module's text; "cores" are those that it may run on."""

    def __init__(self, request: dict[str, Any]) -> None:
        if cores := request.get("cores"):  # before the engine makes its threads, which inherit them
            os.sched_setaffinity(0, cores)
        self._engine = open_engine(
            request["model"],
            engine=request["engine"],
            device=request["device"],
            threads=request["threads"],
            options=request["options"],
        )
        self.run = self._engine.run  # as it is: what is timed is the engine and nothing of ours
        self._request = request
        self._rows: dict[str, Array] = {}

    def items(self) -> list[dict[str, Array]]:
        files = self._request["inputs"]
        self._rows = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
        missing = [spec.name for spec in self._engine.inputs if spec.name not in self._rows]
        if missing:
            raise InputError(
                f"The network has the inputs {', '.join(missing)} here, and no rows were made for them."
            )
        count = len(next(iter(self._rows.values())))
        if not count:
            raise InputError("There are no input rows to measure with.")
        return [self._feed(row) for row in range(min(count, _FEEDS))]

    def _feed(self, row: int) -> dict[str, Array]:
        place = row if self._request.get("whole") else slice(row, row + 1)
        return {
            spec.name: np.array(self._rows[spec.name][place], dtype=spec.dtype, order="C")
            for spec in self._engine.inputs
        }

    def close(self) -> None:
        """Close the engine, which writes its profile if one was asked for."""
        self._engine.close()

    def info(self) -> dict[str, Any]:
        return asdict(self._engine.info)

    def taken(self) -> dict[str, Any]:
        return {}


if __name__ == "__main__":
    serve(Measurer(Network).handle)
