"""What is ONNX Runtime's own: execution providers by name, strictly, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import EngineError, UsageError
from edgeproof.core.options import Options
from edgeproof.engines import open_engine
from engines.networks import MAKERS

ONES = {"x": np.ones((1, 3), np.float32)}


@pytest.fixture
def floats(tmp_path: Path) -> Path:
    return MAKERS["onnxruntime"](tmp_path, "floats")


@pytest.mark.parametrize(
    ("device", "provider", "package"),
    [
        ("xnnpack", "XnnpackExecutionProvider", "--use_xnnpack"),
        ("cuda", "CUDAExecutionProvider", "onnxruntime-gpu"),
        ("tensorrt", "TensorrtExecutionProvider", "TensorRT"),
        ("openvino", "OpenVINOExecutionProvider", "onnxruntime-openvino"),
        ("cann", "CANNExecutionProvider", "onnxruntime-cann"),
        ("qnn", "QNNExecutionProvider", "onnxruntime-qnn"),
        ("coreml", "CoreMLExecutionProvider", "macOS"),
        ("rocm", "ROCMExecutionProvider", "onnxruntime-rocm"),
    ],
)
def test_a_provider_that_is_not_there_names_what_brings_it(
    floats: Path, device: str, provider: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError) as caught:
        open_engine(floats, device=device)
    assert repr(device) in caught.value.message
    assert provider in caught.value.message
    assert package in caught.value.hint
    assert caught.value.hint.endswith("Devices here: cpu.")


def test_nodes_left_to_the_processor_are_told(floats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)

    def refuse(path: str, options: Any, providers: list[str]) -> None:
        assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        raise RuntimeError(
            "This session contains graph nodes that are assigned to the default CPU EP, "
            "but fallback to CPU EP has been explicitly disabled by the user."
        )

    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    with pytest.raises(EngineError, match="cpu_fallback"):
        open_engine(floats, device="cuda")


def test_a_provider_that_doesnt_start_is_not_replaced_silently(
    floats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)
    # What ONNX Runtime does where CUDA's own libraries don't load: a session on the processor.
    session = __import__("onnxruntime").InferenceSession
    monkeypatch.setattr(
        "onnxruntime.InferenceSession",
        lambda path, options, providers: session(path, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(EngineError, match="CUDAExecutionProvider can't be started"):
        open_engine(floats, device="cuda")


@pytest.mark.parametrize(
    "options", [{"arena": False}, {"cpu_fallback": True}]
    + [{"graph_level": level} for level in ("all", "extended", "basic", "off")],
)  # fmt: skip
def test_options_are_taken(floats: Path, options: Options) -> None:
    with open_engine(floats, options=options) as opened:
        np.testing.assert_array_equal(opened.run(ONES)["y"], [[15, 18, 21, 24]])


@pytest.mark.parametrize("options", [{"arena": "no"}, {"graph_level": "most"}, {"graph_level": 3}])
def test_other_values_are_refused(floats: Path, options: Options) -> None:
    with pytest.raises(UsageError):
        open_engine(floats, options=options)
