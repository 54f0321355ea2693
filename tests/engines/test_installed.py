"""Which engines there are: true of this machine, and of machines that we have not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

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


def test_nothing_is_imported_to_say_what_isnt_there() -> None:
    assert "tensorrt" not in sys.modules or installed.find_spec("tensorrt")
    with pytest.raises(EdgeproofError):
        open_engine("nowhere.plan", engine="tensorrt")
