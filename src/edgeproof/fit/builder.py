"""The building process: one request makes one file, so that a pass that crashes or grows takes nothing with it.

{"do": "simplify" | "fp16" | "dynamic", "model", "out"}
{"do": "calibrate", "model", "input", "rows", "places", "out"}      some rows to ranges .json, for every method
{"do": "static", "model", "ranges", "method", "out"}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.core.errors import WorkerError
from edgeproof.core.files import write_atomically
from edgeproof.core.tensor import Array
from edgeproof.fit.rows import Rows
from edgeproof.measure.worker_loop import serve

_Ranges = dict[str, dict[str, tuple[float, float]]]


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Answer one request; see the module's docstring."""
    from edgeproof.formats.onnx import load_model, save_model

    model = load_model(Path(request["model"]))
    match request["do"]:
        case "simplify":
            from edgeproof.optimize.simplify import simplify

            result = simplify(model)
        case "fp16":
            from edgeproof.optimize.fp16 import fp16_weights

            result = fp16_weights(model)
        case "dynamic":
            from edgeproof.optimize.int8 import dynamic_int8

            result = dynamic_int8(model)
        case "static":
            from edgeproof.optimize.int8 import static_int8

            ranges = msgspec.json.decode(Path(request["ranges"]).read_bytes(), type=_Ranges)
            result = static_int8(model, ranges[request["method"]])
        case "calibrate":
            from edgeproof.optimize.calibrate import collect_ranges

            found = collect_ranges(model, _samples(request["input"], request["rows"], request["places"]))
            methods = {"minmax": found.minmax(), "percentile": found.percentile(99.99), "mse": found.mse()}
            write_atomically(request["out"], msgspec.json.encode(methods))
            return {"notes": []}
        case other:
            raise WorkerError(f"Unknown request {other!r}.")
    save_model(result.model, Path(request["out"]))
    return {"notes": list(result.notes)}


def _samples(name: str, file: str, places: Sequence[int]) -> Iterator[dict[str, Array]]:
    rows = Rows(Path(file))
    for place in places:
        yield {name: np.asarray(rows[place], dtype=np.float32)[None]}


if __name__ == "__main__":
    serve(handle)
