"""Running a .tflite file as LiteRT does, and as ONNX after the import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def litert_session() -> Callable[..., Callable[[list[Any]], list[Any]]]:
    """Opens a file in its own runtime, with its XNNPACK kernels or the plain ones; skips without it."""
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter",
        reason="needs ai-edge-litert, the runtime that imports are compared with",
    )

    def start(source: bytes | Path, *, plain: bool = False) -> Callable[[list[Any]], list[Any]]:
        given = {"model_content": source} if isinstance(source, bytes) else {"model_path": str(source)}
        kind = interpreter.OpResolverType
        network = interpreter.Interpreter(
            **given,
            num_threads=1,
            experimental_op_resolver_type=kind.BUILTIN_WITHOUT_DEFAULT_DELEGATES if plain else kind.AUTO,
        )
        network.allocate_tensors()

        def run(feeds: list[Any]) -> list[Any]:
            for entry, feed in zip(network.get_input_details(), feeds, strict=True):
                network.set_tensor(entry["index"], feed)
            network.invoke()
            return [network.get_tensor(entry["index"]) for entry in network.get_output_details()]

        return run

    return start


@pytest.fixture(scope="session")
def litert(litert_session: Any) -> Callable[[bytes, list[Any]], list[Any]]:
    """Runs a small file once, by the plain kernels."""
    return lambda source, feeds: litert_session(source, plain=True)(feeds)


@pytest.fixture(scope="session")
def onnx_session() -> Callable[[Any], Any]:
    """Opens an ONNX network on one thread."""
    import onnxruntime

    def start(model: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    return start
