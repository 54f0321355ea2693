"""Writing a network as .tflite, and running both."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@dataclass(frozen=True)
class Written:
    """What came of writing a network."""

    path: Path
    notes: tuple[str, ...]
    kinds: Counter[str]
    difference: float


@pytest.fixture(scope="session")
def agree(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Written]:
    """Writes an ONNX network, runs it in LiteRT and ONNX Runtime, and holds the answers against each other.

    The difference is the largest one, over the largest value of the output.
    """
    pytest.importorskip(
        "ai_edge_litert.interpreter", reason="needs ai-edge-litert, the runtime of .tflite files"
    )
    pytest.importorskip("flatbuffers")
    folder, numbers = tmp_path_factory.mktemp("written"), itertools.count()

    def check(model: Any, feeds: Mapping[str, Any], *, most: float = 1e-5, xnnpack: bool = True) -> Written:
        import onnxruntime

        from edgeproof.engines import open_engine
        from edgeproof.formats.tflite.schema import parse
        from edgeproof.formats.to_litert import write

        path = folder / f"{next(numbers)}.tflite"
        notes = write(model, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [entry.name for entry in session.get_outputs()]
        wanted = dict(zip(names, session.run(names, dict(feeds)), strict=True))
        with open_engine(str(path), engine="litert", threads=1, options={"xnnpack": xnnpack}) as engine:
            assert [spec.name for spec in engine.inputs] == [entry.name for entry in session.get_inputs()]
            assert [spec.name for spec in engine.outputs] == names
            given = engine.run(feeds)
        worst = 0.0
        for name, value in wanted.items():
            assert given[name].shape == value.shape, name
            assert given[name].dtype == value.dtype, name
            if not value.size:
                continue
            largest = max(float(np.abs(value).max()), 1e-6)
            worst = max(worst, float(np.abs(given[name].astype(np.float64) - value).max()) / largest)
        kinds = Counter(operator.kind for operator in parse(str(path), path.read_bytes()).operators)
        assert worst <= most, kinds
        return Written(path, notes, kinds, worst)

    return check
