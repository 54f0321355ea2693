"""The answering process: opens one network in one engine and runs it over rows of an archive.

{"do": "open", "model", "engine", "device", "threads", "options", "input", "rows"}
{"do": "answer", "start", "stop", "out"}      out: .npz, "ROW:OUTPUT" -> array with a batch axis of one
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import WorkerError
from edgeproof.core.protocols import Engine
from edgeproof.core.tensor import Array
from edgeproof.engines import open_engine
from edgeproof.fit.rows import Rows
from edgeproof.measure.worker_loop import serve


class _Answering:
    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._rows: Rows | None = None
        self._input = ""

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "open":
                self._engine = open_engine(
                    request["model"],
                    engine=request["engine"],
                    device=request["device"],
                    threads=request["threads"],
                    options=request["options"],
                )
                self._rows, self._input = Rows(Path(request["rows"])), request["input"]
                return {}
            case "answer":
                return self._answer(request["start"], request["stop"], request["out"])
            case other:
                raise WorkerError(f"Unknown request {other!r}.")

    def _answer(self, start: int, stop: int, out: str) -> dict[str, Any]:
        assert self._engine is not None
        assert self._rows is not None
        (spec,) = self._engine.inputs
        found: dict[str, Array] = {}
        for place in range(start, stop):
            feeds = {spec.name: np.ascontiguousarray(self._rows[place][None]).astype(spec.dtype)}
            found |= {f"{place}:{name}": array for name, array in self._engine.run(feeds).items()}
        np.savez(out, **found)  # type: ignore[arg-type]
        return {"bytes": sum(array.nbytes for array in found.values())}


if __name__ == "__main__":
    serve(_Answering().handle)
