"""Which engines there are: true of this machine, and of machines that we have not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from boards import bare
from edgeproof.core.errors import EdgeproofError
from edgeproof.engines import ENGINES, installed, open_engine
from edgeproof.engines.installed import EngineState, installed_engines
from engines.networks import MAKERS, skip_if_missing


def _states() -> dict[str, EngineState]:
    return {state.name: state for state in installed_engines()}


def test_every_engine_but_the_one_for_tests_is_told() -> None:
    assert list(_states()) == [name for name in ENGINES if name != "null"]


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "null"])
def test_what_is_told_to_be_there_opens_on_every_device_it_is_told_to_have(tmp_path: Path, name: str) -> None:
    state = _states()[name]
    if state.install:
        assert not state.devices
        assert name in state.install or "start" in state.install
        return
    skip_if_missing(name, tmp_path)
    for device in state.devices:
        with open_engine(MAKERS[name](tmp_path, "floats"), engine=name, device=device) as opened:
            assert opened.info.name == name


def test_a_device_that_our_tests_never_ran_on_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    state = _states()["onnxruntime"]
    assert set(state.devices) == {"cpu", "cuda"}
    assert state.unverified == ("cuda",)
    assert state.as_json()["not_verified_on_hardware"] == ["cuda"]
    assert set(state.providers) == {"CUDAExecutionProvider", "CPUExecutionProvider"}


def test_a_library_that_isnt_there_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    states = _states()
    assert states["openvino"] == EngineState("openvino", None, install='pip install "edgeproof[openvino]"')


def test_a_library_that_doesnt_start_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libnvinfer.so.10: cannot open shared object file\nmore")

    monkeypatch.setattr(installed, "find_spec", lambda _: SimpleNamespace())
    monkeypatch.setitem(
        installed._LIBRARIES, "tensorrt", installed._LIBRARIES["tensorrt"]._replace(devices=broken)
    )
    state = installed._state("tensorrt")
    assert state.devices == ()
    assert state.install == (
        "It is installed and doesn't start: libnvinfer.so.10: cannot open shared object file"
    )


def test_files_tell_what_the_libraries_say_when_asked(tmp_path: Path) -> None:
    by_files = {state.name: state for state in installed_engines(start=False, root=tmp_path)}
    for name, asked in _states().items():
        assert by_files[name].version == asked.version
        assert set(by_files[name].devices) <= set(asked.devices) or asked.install


def test_files_are_read_without_starting_a_library() -> None:
    code = (
        "import sys; from edgeproof.engines.installed import installed_engines; installed_engines(start=False);"
        "print([name for name in ('onnxruntime', 'openvino', 'torch', 'cv2', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


NVIDIA = "proc/driver/nvidia/version"


@pytest.mark.parametrize(
    ("name", "package", "machine", "devices"),
    [
        ("onnxruntime", {}, {}, ["cpu"]),
        ("onnxruntime", {"capi/libonnxruntime_providers_cuda.so": ""}, {}, ["cpu"]),
        ("onnxruntime", {"capi/libonnxruntime_providers_cuda.so": ""}, {NVIDIA: "1"}, ["cpu", "cuda"]),
        ("onnxruntime", {"capi/libonnxruntime_providers_openvino.so": ""}, {}, ["cpu", "openvino"]),
        ("openvino", {}, {}, ["cpu", "auto"]),
        ("openvino", {"libs/libopenvino_intel_gpu_plugin.so": ""}, {}, ["cpu", "auto"]),
        (
            "openvino",
            {"libs/libopenvino_intel_gpu_plugin.so": "", "libs/libopenvino_intel_npu_plugin.so": ""},
            {"sys/class/drm/renderD128/device/vendor": "0x8086", "dev/accel/accel0": ""},
            ["cpu", "gpu", "npu", "auto"],
        ),
        (
            "openvino",
            {"libs/libopenvino_intel_gpu_plugin.so": ""},
            {"sys/class/drm/renderD128/device/vendor": "0x1002"},
            ["cpu", "auto"],
        ),
        ("torch", {"version.py": "cuda: Optional[str] = None"}, {NVIDIA: "1"}, ["cpu"]),
        ("torch", {"version.py": "cuda: Optional[str] = '12.8'"}, {NVIDIA: "1"}, ["cpu", "cuda"]),
        ("torch", {"version.py": "cuda = '12.8'"}, {}, ["cpu"]),
        ("torch", {}, {NVIDIA: "1"}, ["cpu"]),
    ],
)
def test_devices_by_the_librarys_files_and_the_machines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    package: dict[str, str],
    machine: dict[str, str],
    devices: list[str],
) -> None:
    folder, root = bare(tmp_path / "package").write(package).root, bare(tmp_path / "root").write(machine).root
    monkeypatch.setattr(sys, "platform", "linux")
    spec = SimpleNamespace(submodule_search_locations=[str(folder)])
    monkeypatch.setattr(installed, "find_spec", lambda _: spec)
    state = installed._state(name, start=False, root=root)
    assert list(state.devices) == devices


def test_an_nvidia_card_that_isnt_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed.platform, "machine", lambda: "x86_64")
    root = bare(tmp_path).write({NVIDIA: "1"}).root
    state = installed._state("onnxruntime", start=False, root=root)
    assert "cuda" in state.devices or "pip install onnxruntime-gpu" in (state.more or "")
    assert installed._state("onnxruntime", start=False, root=tmp_path / "none").more is None


def test_nothing_is_imported_to_say_what_isnt_there() -> None:
    assert "tensorrt" not in sys.modules or installed.find_spec("tensorrt")
    with pytest.raises(EdgeproofError):
        open_engine("nowhere.plan", engine="tensorrt")
