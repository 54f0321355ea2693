"""What is ONNX Runtime's own: execution providers by name, strictly, and its options."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, EngineError, InputError, UnknownNameError, UsageError
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


def test_an_older_library_refuses_nodes_for_the_processor_itself(
    floats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)
    monkeypatch.setattr("edgeproof.engines.onnxruntime._tells_assignment", lambda: False)

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


class _Part(NamedTuple):
    ep_name: str
    nodes: tuple[str, ...]

    def get_nodes(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, op_type="Resize") for name in self.nodes]


class _Session:
    """What ONNX Runtime opens where CUDA takes only some of the nodes."""

    left: tuple[str, ...] = ()

    def __init__(self, path: str, options: Any, providers: list[str]) -> None:
        assert options.get_session_config_entry("session.record_ep_graph_assignment_info") == "1"

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self) -> list[_Part]:
        return [_Part("CUDAExecutionProvider", ("/taken",)), _Part("CPUExecutionProvider", self.left)]

    def get_inputs(self) -> list[Any]:
        return []

    get_outputs = get_inputs


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (("/up",), "Resize (/up)"),
        (("/up", ""), "Resize (/up), Resize"),
        (tuple(f"/{number}" for number in range(11)), "Resize (/7) and 3 more"),
    ],
)
def test_nodes_left_to_the_processor_are_named(
    floats: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", type("Session", (_Session,), {"left": left}))
    with pytest.raises(EngineError) as caught:
        open_engine(floats, device="cuda")
    assert told + " would run on the processor" in caught.value.message
    assert "/taken" not in caught.value.message
    with open_engine(floats, device="cuda", options={"cpu_fallback": True}) as opened:
        assert opened.info.provider.startswith("CUDAExecutionProvider, without ")
        assert opened.info.provider.endswith(told)


def test_symbolic_sizes_can_be_fixed(floats: Path) -> None:
    with open_engine(floats, options={"fixed_shape": "N=2"}) as opened:
        assert [spec.shape for spec in (*opened.inputs, *opened.outputs)] == [(2, 3), (2, 4)]
        assert opened.run({"x": np.ones((2, 3), np.float32)})["y"].shape == (2, 4)
        with pytest.raises(InputError, match="2"):
            opened.run(ONES)


@pytest.mark.parametrize("text", ["1x3", "N", "N=", "N=0", "N=-1", "=3", "N=1,height=x"])
def test_sizes_that_are_none_are_refused(floats: Path, text: str) -> None:
    with pytest.raises(UsageError, match="fixed_shape"):
        open_engine(floats, options={"fixed_shape": text})


def test_a_size_that_the_network_hasnt_is_refused(floats: Path) -> None:
    with pytest.raises(UnknownNameError, match="'M'"):
        open_engine(floats, options={"fixed_shape": "M=1"})


def test_a_profile_tells_what_each_node_took(floats: Path, tmp_path: Path) -> None:
    with open_engine(floats, options={"profile": str(tmp_path / "profile")}) as opened:
        opened.run(ONES)
    (written,) = tmp_path.glob("profile*.json")
    assert any(event.get("cat") == "Node" for event in json.loads(written.read_text()))


def test_a_profile_that_cant_be_written_is_our_error(floats: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError):
        open_engine(floats, options={"profile": str(floats / "profile")})
