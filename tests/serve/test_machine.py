"""Heat and power in /metrics: what is there, and nothing of what isn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproof.devices.meters import Energy
from edgeproof.devices.meters.sampling import SampledMeter
from edgeproof.serve.machine import Machine


class _Counter:
    """Like RAPL's: energy since it was started."""

    name, scope, interval_s = "counter", "processor", 0.001

    def __init__(self, watts: float | None) -> None:
        self._watts, self.started = watts, 0

    def missing(self) -> str | None:
        return None

    def available(self) -> bool:
        return True

    def start(self) -> None:
        self.started += 1

    def stop(self) -> Energy:
        joules = None if self._watts is None else self._watts * 2
        return Energy(joules, 2.0, 5, None)


class _Sampled(SampledMeter):
    name, scope, interval_s = "board", "board", 0.1

    def __init__(self, watts: float | None) -> None:
        self._watts = watts

    def missing(self) -> str | None:
        return None

    def watts(self) -> float | None:
        return self._watts


def _zone(root: Path, number: int, name: str, value: str) -> None:
    folder = root / f"sys/class/thermal/thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(name)
    (folder / "temp").write_text(value)


def test_temperatures_are_told_and_a_sensor_that_is_off_is_left_out(tmp_path: Path) -> None:
    _zone(tmp_path, 0, "cpu-thermal", "48500\n")
    _zone(tmp_path, 1, "gpu-thermal", "-256000\n")
    lines = Machine(tmp_path, list).lines()
    assert 'edgeproof_temperature_celsius{zone="cpu-thermal"} 48.5' in lines
    assert not any("gpu-thermal" in line for line in lines)


def test_a_machine_without_sensors_tells_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, list)
    assert machine.lines() == machine.lines() == []


@pytest.mark.parametrize(("watts", "told"), [(7.5, ["7.5"]), (None, [])])
def test_a_counter_of_energy_tells_the_mean_from_the_second_time_on(
    tmp_path: Path, watts: float | None, told: list[str]
) -> None:
    meter = _Counter(watts)
    machine = Machine(tmp_path, lambda: [meter])
    assert machine.lines() == []
    lines = machine.lines()
    assert [line.split()[-1] for line in lines if line.startswith("edgeproof_power")] == told
    assert meter.started == 2


@pytest.mark.parametrize(("watts", "told"), [(4.25, ["4.25"]), (None, [])])
def test_a_meter_of_power_is_asked_and_not_left_running(
    tmp_path: Path, watts: float | None, told: list[str]
) -> None:
    lines = Machine(tmp_path, lambda: [_Sampled(watts)]).lines()
    assert [line.split()[-1] for line in lines if line.startswith("edgeproof_power")] == told
