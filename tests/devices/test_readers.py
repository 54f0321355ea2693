"""Heat, clock, throttling, limits, load and memory, from made-up machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards import BOARDS, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.devices.command import run_command
from edgeproof.devices.frequency import frequency_policies
from edgeproof.devices.load import CpuTimes, cpu_times, pressure
from edgeproof.devices.memory import memory
from edgeproof.devices.sysfs import as_int, read_text
from edgeproof.devices.thermal import TripPoint, thermal_zones
from edgeproof.devices.throttling import (
    RaspberryThrottling,
    ThrottleCounts,
    decode_get_throttled,
    raspberry_throttling,
    throttle_counts,
)


def test_a_zone_has_its_temperature_and_what_it_may_reach(tmp_path: Path) -> None:
    cpu, gpu, off = thermal_zones(jetson_orin(tmp_path).root)
    assert (cpu.name, cpu.celsius, cpu.limit_celsius) == ("cpu-thermal", 48.312, 99.0)
    assert TripPoint("active", 50.0) in cpu.trips
    assert cpu.margin_celsius == pytest.approx(99 - 48.312)
    assert gpu.limit_celsius == 99.0
    assert (off.name, off.celsius, off.margin_celsius) == ("cv0-thermal", None, None)


def test_zones_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    board = bare(tmp_path).write({f"sys/class/thermal/thermal_zone{n}/temp": n * 1000 for n in range(12)})
    assert [zone.celsius for zone in thermal_zones(board.root)] == list(range(12))


@pytest.mark.parametrize(
    ("text", "celsius"),
    [
        ("-2000", -2.0),
        ("0", 0.0),
        ("", None),
        ("hot", None),
        ("-256000", None),
        ("99999999999999999999999", None),
    ],
)
def test_a_temperature_that_cant_be_is_unknown(tmp_path: Path, text: str, celsius: float | None) -> None:
    board = bare(tmp_path).write({"sys/class/thermal/thermal_zone0/temp": text})
    assert thermal_zones(board.root)[0].celsius == celsius


def test_clocks_are_told_by_policy(tmp_path: Path) -> None:
    first, second = frequency_policies(jetson_orin(tmp_path).root)
    assert (first.name, first.cpus, first.governor) == ("policy0", [0, 1, 2, 3], "schedutil")
    assert (first.current_mhz, first.min_mhz, first.max_mhz) == (729.6, 115.2, 1510.4)
    assert (second.cpus, second.hardware_max_mhz) == ([4, 5], 1510.4)


@pytest.mark.parametrize("name", ["scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq"])
@pytest.mark.parametrize("content", ["", "0", "-1", "<unknown>", None])
def test_a_clock_that_isnt_told_is_unknown(tmp_path: Path, name: str, content: object) -> None:
    board = raspberry_pi_5(tmp_path).write({f"sys/devices/system/cpu/cpufreq/policy0/{name}": content})
    (policy,) = frequency_policies(board.root)
    assert None in (policy.current_mhz, policy.max_mhz, policy.hardware_max_mhz)


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        (x86_laptop, ThrottleCounts(core=16, package=5)),
        (jetson_orin, ThrottleCounts(core=None, package=None)),
        (bare, ThrottleCounts(core=None, package=None)),
    ],
)
def test_throttle_counters(tmp_path: Path, build, counts: ThrottleCounts) -> None:  # type: ignore[no-untyped-def]
    assert throttle_counts(build(tmp_path).root) == counts


@pytest.mark.parametrize(
    ("text", "now", "occurred"),
    [
        ("throttled=0x0\n", [], []),
        ("throttled=0x1", ["under-voltage"], []),
        ("throttled=0x2", ["frequency capped"], []),
        ("throttled=0x4", ["throttled"], []),
        ("throttled=0x8", ["soft temperature limit"], []),
        ("throttled=0x10000", [], ["under-voltage"]),
        ("throttled=0x20000", [], ["frequency capped"]),
        ("throttled=0x40000", [], ["throttled"]),
        ("throttled=0x80000", [], ["soft temperature limit"]),
        ("throttled=0x50005", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        ("throttled=0xFFFFFFFF", 4, 4),
    ],
)
def test_get_throttled_bit_by_bit(text: str, now: list[str] | int, occurred: list[str] | int) -> None:
    found = decode_get_throttled(text)
    assert found is not None
    assert (found.now if isinstance(now, list) else len(found.now)) == now
    assert (found.occurred if isinstance(occurred, list) else len(found.occurred)) == occurred


@pytest.mark.parametrize("text", ["", "throttled=", "throttled=0xzz", "error=2", "throttled=0x" + "f" * 50])
def test_no_answer_of_get_throttled_is_none(text: str) -> None:
    assert decode_get_throttled(text) is None


def test_only_a_raspberry_pi_answers(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path)
    assert raspberry_throttling(board.run) == RaspberryThrottling([], [])
    assert raspberry_throttling(bare(tmp_path / "b").run) is None


def test_processor_time_is_split_into_busy_idle_and_steal(tmp_path: Path) -> None:
    board = bare(tmp_path).write({"proc/stat": "cpu  100 20 30 800 50 5 5 40 7 7\ncpu0 1 1 1 1"})
    first = cpu_times(board.root)
    assert first == CpuTimes(busy=160, idle=850, steal=40)
    later = cpu_times(board.write({"proc/stat": "cpu  130 20 30 860 50 5 5 50 7 7"}).root)
    assert first is not None
    assert later is not None
    window = later.since(first)
    assert (window.busy_share, window.steal_share) == (0.3, 0.1)
    assert later.since(later).busy_share is None


@pytest.mark.parametrize("text", ["", "cpu", "cpu 1 2", "cpu a b c d", "intr 1 2 3 4", "cpu  1 2 3 x 5"])
def test_a_broken_stat_is_unknown(tmp_path: Path, text: str) -> None:
    assert cpu_times(bare(tmp_path).write({"proc/stat": text}).root) is None


def test_an_old_kernels_stat_without_steal(tmp_path: Path) -> None:
    assert cpu_times(bare(tmp_path).write({"proc/stat": "cpu  1 2 3 4"}).root) == CpuTimes(6, 4, 0)


def test_pressure_is_shares_of_time(tmp_path: Path) -> None:
    board = jetson_orin(tmp_path).write(
        {
            "proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.20 total=2500000",
            "proc/pressure/memory": "some avg10=3.00 avg60=0 total=9\nfull avg10=1.00 avg60=0 total=4",
            "proc/pressure/io": "garbage",
        }
    )
    found = pressure(board.root)
    assert set(found) == {"cpu", "memory"}
    assert (found["cpu"].some, found["cpu"].full, found["cpu"].some_seconds) == (0.125, None, 2.5)
    assert (found["memory"].some, found["memory"].full) == (0.03, 0.01)
    assert pressure(raspberry_pi_5(tmp_path / "pi").root) == {}


def test_memory_and_swap(tmp_path: Path) -> None:
    found = memory(jetson_orin(tmp_path).root)
    assert (found.total_mb, found.available_mb, found.swap_mb, found.swap_used_mb) == (7990, 5225, 3995, 0)
    none = memory(bare(tmp_path / "b").root)
    assert (none.total_mb, none.available_mb, none.swap_mb, none.swap_used_mb) == (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12), (" -3\n", -3), ("0", 0), ("", None), (None, None), ("1.5", None), ("0x10", None), ("--1", None),
        ("٣", None), ("²", None), ("9" * 20, 10**20 - 1), ("9" * 21, None), ("9" * 5000, None), ("1_000", None),
    ],
)  # fmt: skip
def test_only_plain_numbers_are_numbers(text: str | None, number: int | None) -> None:
    assert as_int(text) == number


def test_a_huge_file_is_read_in_part(tmp_path: Path) -> None:
    (tmp_path / "huge").write_text("x" * 5_000_000)
    assert len(read_text(tmp_path / "huge") or "") == 4_000_000


@pytest.mark.parametrize("words", [["no-such-program-anywhere"], ["false"], ["cat", "/nowhere/at/all"]])
def test_a_program_that_fails_gives_nothing(words: list[str]) -> None:
    assert run_command(words) is None


def test_a_program_gives_what_it_prints() -> None:
    assert run_command(["printf", "a b"]) == "a b"


@pytest.mark.parametrize("build", BOARDS)
def test_every_reader_takes_every_board(tmp_path: Path, build) -> None:  # type: ignore[no-untyped-def]
    root = build(tmp_path).root
    for reader in (thermal_zones, frequency_policies, throttle_counts, cpu_times, pressure, memory):
        reader(root)
