"""NVIDIA cards, through a made-up NVML."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from boards import Board, x86_laptop
from edgeproof.devices.meters import meters, present_meters
from edgeproof.devices.meters import nvidia as module
from edgeproof.devices.meters.nvidia import Nvidia, nvidia_cards


class _Nvml(ModuleType):
    """What pynvml offers of it; a question that `answers` doesn't hold fails as NVML's do."""

    class NVMLError(Exception):
        pass

    def __init__(self, **answers: int) -> None:
        super().__init__("pynvml")
        self.answers, self.opened = answers, True

    def nvmlInit(self) -> None:
        if not self.opened:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        return self._answer("milliwatts")

    def nvmlDeviceGetTotalEnergyConsumption(self, card: int) -> int:
        return self._answer("millijoules")

    def _answer(self, name: str) -> int:
        if name not in self.answers:
            raise self.NVMLError("Not Supported")
        return self.answers[name]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> _Nvml:
    made = _Nvml(milliwatts=70_500, millijoules=1_000_000)
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


@pytest.fixture
def board(tmp_path: Path) -> Board:
    information = "Model: \t\t NVIDIA RTX A2000\nIRQ:   \t\t 184\n"
    return x86_laptop(tmp_path).write({"proc/driver/nvidia/gpus/0000:01:00.0/information": information})


def test_each_card_is_a_meter(board: Board, nvml: _Nvml) -> None:
    found = {meter.name: meter for meter in meters(board.root, board.run)}
    assert list(found) == ["rapl", "nvidia-0", "battery"]
    assert found["nvidia-0"].scope == "graphics card 0 (NVIDIA RTX A2000) alone"


def test_power_is_in_watts(nvml: _Nvml) -> None:
    assert Nvidia(0, "A").watts() == 70.5


def test_the_energy_counter_is_taken_where_there_is_one(nvml: _Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORTEST_S", 0.0)
    meter = Nvidia(0, "A")
    meter.start()
    nvml.answers["millijoules"] += 12_000
    assert meter.stop().joules == 12.0


@pytest.mark.parametrize("change", [{"millijoules": 0}, {"millijoules": -5}], ids=["still", "backwards"])
def test_a_counter_that_doesnt_move_leaves_it_to_the_readings(
    nvml: _Nvml, monkeypatch: pytest.MonkeyPatch, change: dict[str, int]
) -> None:
    monkeypatch.setattr(module, "_SHORTEST_S", 0.0)
    meter = Nvidia(0, "A")
    meter.start()
    nvml.answers["millijoules"] += change["millijoules"]
    energy = meter.stop()
    assert energy.joules is None  # two readings are no measurement
    assert "too short" in (energy.reason or "")


def test_a_card_that_doesnt_tell_is_not_available(nvml: _Nvml) -> None:
    nvml.answers.clear()
    meter = Nvidia(0, "A")
    assert not meter.available()
    meter.start()
    assert meter.stop().joules is None


def test_a_driver_that_doesnt_answer_is_told(nvml: _Nvml) -> None:
    nvml.opened = False
    meter = Nvidia(0, "A")
    assert "Driver Not Loaded" in (meter.missing() or "")
    assert meter.watts() is None


def test_without_its_package_the_command_to_install_it_is_told(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert [meter.name for meter in meters(board.root, board.run)] == ["rapl", "battery"]
    (card,) = nvidia_cards(board.root)
    assert 'pip install "edgeproof[nvidia]"' in (card.missing() or "")
    assert len(present_meters(board.root, board.run)) == 3
    card.start()
    assert card.stop().joules is None
