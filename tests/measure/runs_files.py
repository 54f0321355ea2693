"""Files of runs as `bench` writes them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeproof.measure.runs_file import FORMAT, Block, Measured, RunsFile
from edgeproof.measure.validity import Conditions

HOST = {
    "board": None,
    "processor": "A processor",
    "isa": ["avx2"],
    "cores": 4,
    "memory_mb": 8000,
    "governor": "performance",
    "kernel": "6.1",
    "python": "3.11.2",
    "libraries": {"onnxruntime": "1.20.0"},
}


def measured(
    id_: str = "net.onnx onnxruntime t1", ms: float = 10.0, seed: int = 0, **fields: Any
) -> Measured:
    """A variant of 8 processes, 6 blocks of 5 runs each."""
    rng = np.random.default_rng([seed, int(ms * 1000)])
    blocks = [
        Block(process, [float(ms * value) for value in np.exp(rng.normal(0, 0.02, 5))])
        for process in range(8)
        for _ in range(6)
    ]
    known = {"target": "net.onnx", "engine": "onnxruntime", "device": "cpu", "threads": 1, "batch": 1}
    return Measured(id=id_, **{**known, "blocks": blocks, "cold_s": [0.5] * 8, **fields})


def runs_file(variants: Sequence[Measured], *, reference_ms: float = 1.0, **fields: Any) -> RunsFile:
    """A whole file of a quiet machine."""
    quiet = Conditions(1.0, 0.0, 0.0, 0, 0.0, None, [reference_ms] * 3)
    known: dict[str, Any] = {
        "edgeproof": "0.1.0",
        "created": "2026-01-01T00:00:00Z",
        "settings": {"rate_hz": None},
        "host": HOST,
        "complete": True,
        "conditions": [quiet] * 8,
    }
    return RunsFile(FORMAT, variants=list(variants), **{**known, **fields})
