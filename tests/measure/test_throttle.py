"""Two of three signs, from made-up boards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boards import Board, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.measure.sensor_log import SensorLog
from edgeproof.measure.throttle import Throttle, throttle

READINGS, AT = 60, 30


def _watched(
    board: Board, change: Callable[[Board], None] = lambda _board: None, slower: float = 1.0
) -> Throttle:
    log = SensorLog(board.root, board.run)
    for number in range(READINGS):
        if number == AT:
            change(board)
        log.read()
    latency = 10 + 0.05 * np.random.default_rng(0).normal(size=READINGS)
    latency[AT:] *= slower
    return throttle(latency, log.sensors())


def _hot(board: Board) -> None:
    board.write({"sys/class/thermal/thermal_zone0/temp": 97_500})


def _slow_clock(board: Board) -> None:
    for policy in (0, 4):
        place = f"sys/devices/system/cpu/cpufreq/policy{policy}/scaling_cur_freq"
        if (board.root / place).exists():
            board.write({place: 500_000})


def _hot_and_slow(board: Board) -> None:
    _hot(board)
    _slow_clock(board)


@pytest.mark.parametrize(
    ("change", "slower", "verdict"),
    [
        (_hot_and_slow, 1.4, "throttled"),
        (_hot_and_slow, 1.0, "throttled"),
        (_hot, 1.4, "throttled"),
        (_slow_clock, 1.4, "throttled"),
        (_hot, 1.0, "not throttled"),
        (_slow_clock, 1.0, "not throttled"),
        (lambda _board: None, 1.4, "not throttled"),
        (lambda _board: None, 1.0, "not throttled"),
    ],
)
def test_a_jetson_is_throttled_where_two_of_three_signs_are_seen(
    tmp_path: Path, change: Callable[[Board], None], slower: float, verdict: str
) -> None:
    found = _watched(jetson_orin(tmp_path), change, slower)
    assert found.verdict == verdict
    assert (len(found.reasons) >= 2) == (verdict == "throttled")


def test_a_raspberry_says_so_itself(tmp_path: Path) -> None:
    def flag(board: Board) -> None:
        board.answers["vcgencmd get_throttled"] = "throttled=0x60006\n"

    found = _watched(raspberry_pi_5(tmp_path), flag, 1.3)
    assert found.verdict == "throttled"
    assert found.clock_fell
    assert any("count of throttling" in reason for reason in found.reasons)


def test_a_laptop_counts_its_throttling(tmp_path: Path) -> None:
    def count(board: Board) -> None:
        board.write({"sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": 900})

    assert _watched(x86_laptop(tmp_path), count, 1.3).verdict == "throttled"


def test_a_machine_without_sensors_is_not_measured(tmp_path: Path) -> None:
    board = bare(tmp_path)
    found = _watched(board, slower=1.5)
    assert (found.verdict, found.clock_fell, found.near_trip, found.latency_rose) == (
        "not measured",
        None,
        None,
        True,
    )
    log = SensorLog(board.root, board.run)
    log.read()
    assert log.summary() == {"mhz": None, "celsius": None, "limit_celsius": None, "throttle_events": None}
