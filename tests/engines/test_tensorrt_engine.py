"""The TensorRT engine on a TensorRT that only notes what is asked of it: there is no GPU here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import (
    EdgeproofError,
    EngineError,
    InputError,
    MissingExtraError,
    ModelError,
    UnknownNameError,
    UsageError,
)
from edgeproof.core.files import sha256_of
from edgeproof.engines.tensorrt import build_plan, open_model
from edgeproof.engines.tensorrt_profile import parse_profile
from engines.fake_tensorrt import Cuda, TensorRt, install

RANGE = "x=1x3:2x3:4x3"


@pytest.fixture
def cuda() -> Cuda:
    return Cuda(gpus=2)


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, cuda: Cuda) -> TensorRt:
    trt = TensorRt()
    install(monkeypatch, trt, cuda)
    return trt


def _model(folder: Path, name: str = "net", **told) -> Path:
    file = folder / f"{name}.onnx"
    file.write_text(json.dumps({"inputs": {"x": [-1, 3]}, **told}))
    return file


def _open(file: Path, device: str = "cuda", **options):
    return open_model(
        str(file), device, 1, {"profile": RANGE, **options} if file.suffix == ".onnx" else options
    )


def test_an_onnx_file_is_built_and_run(tmp_path: Path, trt: TensorRt, cuda: Cuda) -> None:
    with _open(_model(tmp_path), device="cuda:1") as engine:
        assert [str(spec) for spec in (*engine.inputs, *engine.outputs)] == [
            "x float32[N, 3]",
            "x_doubled float32[N, 3]",
        ]
        assert (engine.info.version, engine.info.provider) == ("10.3.0", "cuda:1")
        for rows in (1, 4, 2):
            x = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
            np.testing.assert_array_equal(engine.run({"x": x})["x_doubled"], 2 * x)
            np.testing.assert_array_equal(engine.run({"x": x.T.copy().T})["x_doubled"], 2 * x)
        assert set(cuda.selected) == {1}
        with pytest.raises(InputError, match=r"built for \[1, 3\] to \[4, 3\]"):
            engine.run({"x": np.zeros((5, 3), np.float32)})
        with pytest.raises(InputError, match="float64"):
            engine.run({"x": np.zeros((1, 3))})
    assert (cuda.blocks, cuda.streams) == ({}, 0), "memory was left on the GPU"
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"x": np.zeros((1, 3), np.float32)})


@pytest.mark.parametrize(
    ("version", "options", "asked"),
    [
        ("10.3.0", {}, [("network", 2), ("clear", "TF32")]),
        ("11.4.1", {}, [("network", 2), ("clear", "TF32")]),
        ("10.3.0", {"precision": "f16"}, [("network", 0), ("clear", "TF32"), ("set", "FP16")]),
        ("10.3.0", {"precision": "int8"}, [("network", 2), ("clear", "TF32")]),
        ("10.3.0", {"workspace_mb": 64}, [("network", 2), ("clear", "TF32"), ("workspace", 64 << 20)]),
    ],
)
def test_options_reach_the_builder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Cuda, version, options, asked
) -> None:
    trt = TensorRt(version)
    install(monkeypatch, trt, cuda)
    _open(_model(tmp_path, quantised=True), **options).close()
    assert trt.calls == [*asked, ("profile", {"x": ((1, 3), (2, 3), (4, 3))})]


def test_a_fixed_network_needs_no_profile(tmp_path: Path, trt: TensorRt) -> None:
    with open_model(str(_model(tmp_path, inputs={"x": [1, 3]})), "cuda", 1, {}) as engine:
        assert str(engine.inputs[0]) == "x float32[1, 3]"
    assert not [call for call in trt.calls if call[0] == "profile"]


@pytest.mark.parametrize(
    ("version", "options", "error", "says"),
    [
        ("11.4.1", {"precision": "f16"}, UsageError, "no switch for f16"),
        ("9.3.0", {}, EngineError, "9.3.0"),
        ("10.3.0", {"precision": "bf16"}, UsageError, "f32, f16, int8"),
        ("10.3.0", {"precision": "int8"}, ModelError, "QuantizeLinear"),
        ("10.3.0", {"workspace_mb": -1}, UsageError, "-1"),
        ("10.3.0", {"colour": "red"}, UnknownNameError, "colour"),
        ("10.3.0", {"profile": ""}, UsageError, "x=1x3:4x3:8x3"),
    ],
)
def test_what_cant_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Cuda, version, options, error, says
) -> None:
    install(monkeypatch, TensorRt(version), cuda)
    with pytest.raises(error) as caught:
        _open(_model(tmp_path), **options)
    assert says in str(caught.value)
    assert (cuda.blocks, cuda.streams) == ({}, 0)


@pytest.mark.parametrize(
    ("fails", "error", "says"),
    [
        ("parse", ModelError, "Fancy (odd): no importer"),
        ("build", EngineError, "no kernel for it"),
        ("open", EngineError, "magic tag"),
    ],
)
def test_where_tensorrt_fails_its_reason_is_told(
    tmp_path: Path, trt: TensorRt, cuda: Cuda, fails: str, error: type[EdgeproofError], says: str
) -> None:
    with pytest.raises(error) as caught:
        _open(_model(tmp_path, fails=fails))
    assert says in caught.value.message
    assert cuda.streams == 0


@pytest.mark.parametrize(("fails", "says"), [("run", "can't run"), ("shape", "depends on what comes in")])
def test_where_a_run_fails(tmp_path: Path, trt: TensorRt, fails: str, says: str) -> None:
    with _open(_model(tmp_path, fails=fails)) as engine, pytest.raises(EngineError, match=says):
        engine.run({"x": np.zeros((1, 3), np.float32)})


def test_a_full_gpu_is_told(tmp_path: Path, trt: TensorRt, cuda: Cuda) -> None:
    with _open(_model(tmp_path)) as engine:
        cuda.full = True
        with pytest.raises(EngineError, match="cudaErrorMemoryAllocation"):
            engine.run({"x": np.zeros((1, 3), np.float32)})


@pytest.mark.parametrize("device", ["cpu", "CUDA", "", "cuda:", "cuda:2", "cuda:-1"])
def test_no_other_device_is_used_silently(tmp_path: Path, trt: TensorRt, device: str) -> None:
    with pytest.raises(EngineError) as caught:
        _open(_model(tmp_path), device=device)
    assert repr(device) in caught.value.message


def test_no_gpu_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, TensorRt(), Cuda(gpus=0))
    with pytest.raises(EngineError, match="finds 0 GPUs"):
        _open(_model(tmp_path))


def _plan(folder: Path) -> Path:
    build_plan(_model(folder), folder / "net.plan", shapes=RANGE)
    return folder / "net.plan"


def test_a_plan_says_what_it_is_for_and_runs_there(tmp_path: Path, trt: TensorRt) -> None:
    plan = _plan(tmp_path)
    told = json.loads((tmp_path / "net.plan.json").read_text())
    assert told == {
        "format": 1,
        "tensorrt": "10.3.0",
        "gpu": "Orin",
        "compute_capability": "8.7",
        "cuda": "12.6",
        "driver": "12.6",
        "precision": "f32",
        "profile": RANGE,
        "workspace_mb": "0",
        "source": "net.onnx",
        "source_sha256": sha256_of(tmp_path / "net.onnx"),
        "plan_sha256": sha256_of(plan),
    }
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.onnx", "net.plan", "net.plan.json"]
    with _open(plan) as engine:
        x = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(engine.run({"x": x})["x_doubled"], 2 * x)


@pytest.mark.parametrize(
    ("trt_here", "cuda_here", "says"),
    [
        (TensorRt("10.16.1"), Cuda(), "TensorRT 10.3.0 there, 10.16.1 here"),
        (TensorRt(), Cuda(gpu="Xavier"), "GPU Orin there, Xavier here"),
        (TensorRt(), Cuda(capability=(9, 0)), "compute capability 8.7 there, 9.0 here"),
    ],
)
def test_a_plan_of_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trt: TensorRt, trt_here, cuda_here, says: str
) -> None:
    plan = _plan(tmp_path)
    install(monkeypatch, trt_here, cuda_here)
    with pytest.raises(EngineError) as caught:
        _open(plan)
    assert says in caught.value.message
    assert "again" in caught.value.hint
    assert "net.onnx" in caught.value.hint


@pytest.mark.parametrize(
    ("note", "says"),
    [(None, "doesn't say"), ("[", "no JSON"), ("{}", "another format"), ("[1]", "another format")],
)
def test_a_plan_without_its_note_is_refused(
    tmp_path: Path, trt: TensorRt, note: str | None, says: str
) -> None:
    plan = _plan(tmp_path)
    beside = tmp_path / "net.plan.json"
    beside.unlink() if note is None else beside.write_text(note)
    with pytest.raises(EngineError, match=says):
        _open(plan)


def test_a_changed_plan_is_refused(tmp_path: Path, trt: TensorRt) -> None:
    plan = _plan(tmp_path)
    plan.write_bytes(plan.read_bytes() + b" ")
    with pytest.raises(EngineError, match="digest differs"):
        _open(plan)


def test_a_build_that_fails_leaves_the_old_plan(tmp_path: Path, trt: TensorRt) -> None:
    plan = _plan(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("net.plan*")}
    with pytest.raises(EngineError):
        build_plan(_model(tmp_path, fails="build"), plan, shapes=RANGE)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.plan*")} == before


def test_progress_is_told_and_what_it_raises_stops_the_build(tmp_path: Path, trt: TensorRt) -> None:
    lines: list[str] = []
    build_plan(_model(tmp_path), tmp_path / "net.plan", shapes=RANGE, say=lines.append)
    assert lines == ["Building", *(f"Building: {share} %" for share in range(10, 101, 10))]

    def stop(line: str) -> None:
        if "50" in line:
            raise KeyboardInterrupt

    (tmp_path / "net.plan").unlink()
    with pytest.raises(KeyboardInterrupt):
        build_plan(_model(tmp_path), tmp_path / "net.plan", shapes=RANGE, say=stop)
    assert not (tmp_path / "net.plan").exists()


def test_the_timing_cache_is_kept_and_one_of_another_gpu_is_left(tmp_path: Path, trt: TensorRt) -> None:
    cache, lines = tmp_path / "timing.cache", []
    for wanted in (b"+", b"++"):
        build_plan(_model(tmp_path), tmp_path / "net.plan", shapes=RANGE, timing_cache=cache)
        assert cache.read_bytes() == wanted
    cache.write_bytes(b"another GPU")
    build_plan(_model(tmp_path), tmp_path / "p.plan", shapes=RANGE, timing_cache=cache, say=lines.append)
    assert "starts anew" in lines[0]
    assert cache.read_bytes() == b"+"


def test_plans_are_kept_in_the_cache_for_what_they_were_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trt: TensorRt, cuda: Cuda
) -> None:
    file, kept = _model(tmp_path), tmp_path / "plans"
    builds = lambda: sum(call[0] == "network" for call in trt.calls)  # noqa: E731
    for _ in range(2):
        _open(file, cache=str(kept)).close()
    assert builds() == 1
    _open(file, cache=str(kept), precision="f16").close()
    assert builds() == 2
    for plan in kept.glob("*.plan"):
        plan.write_bytes(b"damaged")
    _open(file, cache=str(kept)).close()
    assert builds() == 3
    cuda.gpu = "another"
    _open(file, cache=str(kept)).close()
    assert builds() == 4


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("x=1x3:2x3", UsageError, "can't be read"),
        ("x=1x3:ax3:4x3", UsageError, "can't be read"),
        ("x=0x3:1x3:4x3", UsageError, "can't be read"),
        ("x=4x3:2x3:1x3", UsageError, "don't go up"),
        ("x=1x4:2x4:4x4", UsageError, "which is ?x3"),
        ("x=1x3x1:2x3x1:4x3x1", UsageError, "which is ?x3"),
        ("x=1x3,x=2x3", UsageError, "twice"),
        ("X=1x3", UnknownNameError, "Did you mean x"),
        ("1x3", UsageError, "which input"),
        ("", UsageError, "free sizes (?x3)"),
        ("y=1x2", UsageError, "free sizes (?x3)"),
    ],
)
def test_profiles_that_cant_be(text: str, error: type[EdgeproofError], says: str) -> None:
    with pytest.raises(error) as caught:
        parse_profile(text, {"x": (-1, 3), "y": (1, 2)})
    assert says in str(caught.value)


def test_profiles_in_short() -> None:
    assert parse_profile("2x3", {"a=b": (-1, 3)}) == {"a=b": ((2, 3), (2, 3), (2, 3))}
    assert parse_profile("a=b=1x3:2x3:3x3", {"a=b": (-1, 3)})["a=b"].largest == (3, 3)
    assert parse_profile("y=1x2,x=1x3", {"x": (-1, 3), "y": (1, 2)}) == {"x": ((1, 3), (1, 3), (1, 3))}


@pytest.mark.parametrize("missing", ["tensorrt", "cuda"])
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trt: TensorRt, missing: str
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    try:
        __import__(missing)
    except ModuleNotFoundError:
        pass
    else:
        pytest.skip(f"{missing} is installed")
    with pytest.raises(MissingExtraError, match=r"edgeproof\[tensorrt\]"):
        _open(_model(tmp_path))
