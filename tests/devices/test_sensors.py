"""Heat, meters and limits, from a made-up /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproof.devices.sensors import memory_limit_mb, power_meters, thermal_zones

_FILES = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/temp": "-2000\n",
    "sys/class/thermal/thermal_zone2/type": "gpu-thermal\n",  # its temp can't be read while the GPU sleeps
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "123456\n",
    "sys/class/powercap/intel-rapl:1/energy_uj": "1\n",
    "sys/fs/cgroup/memory.max": "268435456\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in _FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_what_the_kernel_shows_is_read(root: Path) -> None:
    assert thermal_zones(root) == [
        {"name": "cpu-thermal", "celsius": 48.312},
        {"name": "thermal_zone1", "celsius": -2.0},
        {"name": "gpu-thermal", "celsius": None},
    ]
    assert power_meters(root) == ["package-0", "intel-rapl:1"]
    assert memory_limit_mb(root) == 268


def test_where_it_shows_nothing_nothing_is_claimed(tmp_path: Path) -> None:
    assert (thermal_zones(tmp_path), power_meters(tmp_path), memory_limit_mb(tmp_path)) == ([], [], None)


@pytest.mark.parametrize("text", ["max\n", "", "-1", "lots"])
def test_no_limit_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(text)
    assert memory_limit_mb(tmp_path) is None
