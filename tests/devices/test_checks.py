"""What disturbs a measurement is seen, with its remedy; what the machine doesn't show is no warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards import BOARDS, Board, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.devices.checks import Check, machine_checks
from edgeproof.devices.load import CpuTimes, cpu_times

NAMES = [
    "frequency governor", "throttled now", "swap in use", "other load", "memory pressure", "steal", "cgroup quota",
]  # fmt: skip


def _checks(board: Board, **options: object) -> dict[str, Check]:
    found = machine_checks(board.root, board.run, **{"cores": 4, **options})  # type: ignore[arg-type]
    return {check.name: check for check in found}


@pytest.mark.parametrize("build", BOARDS)
def test_all_are_made_in_one_order_on_every_machine(tmp_path: Path, build) -> None:  # type: ignore[no-untyped-def]
    checks = _checks(build(tmp_path))
    assert list(checks) == NAMES
    for check in checks.values():
        assert (check.state, check.fix is None) in (("ok", True), ("warn", False))


def test_a_machine_that_shows_nothing_gets_no_warning_and_no_praise(tmp_path: Path) -> None:
    checks = _checks(bare(tmp_path))
    assert {check.state for check in checks.values()} == {"ok"}
    assert [name for name, check in checks.items() if check.seen is not None] == ["cgroup quota"]


QUIET = {"sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance"}


def test_a_quiet_raspberry_pi_is_all_ok(tmp_path: Path) -> None:
    checks = _checks(raspberry_pi_5(tmp_path).write(QUIET))
    assert {check.state for check in checks.values()} == {"ok"}
    assert checks["throttled now"].seen == "no"


@pytest.mark.parametrize(
    ("name", "files", "seen", "fix"),
    [
        ("frequency governor", {}, "schedutil", "sudo jetson_clocks"),
        ("throttled now", {"sys/class/thermal/thermal_zone0/temp": 97_500}, "limit is 99", "heatsink"),
        (
            "throttled now",
            {"sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq": 960_000},
            "policy4 may run at 960 of 1510 MHz",
            "nvpmodel",
        ),
        ("swap in use", {"proc/meminfo": "SwapTotal: 1000000 kB\nSwapFree: 500000 kB"}, "512 MB", "swapoff"),
        ("memory pressure", {"proc/meminfo": "MemTotal: 100000 kB\nMemAvailable: 5000 kB"}, "5%", "rss"),
        (
            "memory pressure",
            {"proc/pressure/memory": "some avg10=8.00 avg60=0.00 avg300=0.00 total=1"},
            "8% of the time",
            "rss",
        ),
        ("steal", {"proc/stat": "cpu  100 0 0 800 0 0 0 100"}, "10.0% since the start", "virtual machine"),
        ("cgroup quota", {"sys/fs/cgroup/cpu.max": "150000 100000"}, "1.5 of 4 cores", "--threads 1"),
        (
            "cgroup quota",
            {
                "sys/fs/cgroup/cpu.max": "200000 100000",
                "sys/fs/cgroup/cpu.stat": "nr_periods 50\nnr_throttled 20\nthrottled_usec 1",
            },
            "stopped in 20 of 50 periods",
            "--threads 2",
        ),
    ],
)
def test_trouble_is_seen_with_its_remedy(
    tmp_path: Path, name: str, files: dict[str, object], seen: str, fix: str
) -> None:
    check = _checks(jetson_orin(tmp_path).write(files))[name]
    assert check.state == "warn"
    assert seen in (check.seen or "")
    assert fix in (check.fix or "")


def test_elsewhere_the_governor_is_set_without_any_tool(tmp_path: Path) -> None:
    fix = _checks(x86_laptop(tmp_path))["frequency governor"].fix
    assert "echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor" in (
        fix or ""
    )


@pytest.mark.parametrize(
    ("bits", "state", "seen", "fix"),
    [
        ("0x1", "warn", "under-voltage now", "power supply"),
        ("0x10000", "warn", "under-voltage since the start", "power supply"),
        ("0x8", "warn", "soft temperature limit now", "fan"),
        ("0x40000", "ok", "throttled since the start", None),
    ],
)
def test_a_raspberry_pis_own_word(tmp_path: Path, bits: str, state: str, seen: str, fix: str | None) -> None:
    board = raspberry_pi_5(tmp_path)
    board.answers["vcgencmd get_throttled"] = f"throttled={bits}\n"
    check = _checks(board)["throttled now"]
    assert (check.state, check.seen) == (state, seen)
    assert (check.fix is None) == (fix is None)
    assert fix is None or fix in (check.fix or "")


@pytest.mark.parametrize(
    ("busy", "own", "state", "seen"),
    [
        (50, 0.0, "warn", "50% of the processors"),
        (50, 0.45, "ok", "5% of the processors"),
        (2, 0.5, "ok", "0% of"),
    ],
)
def test_other_load_is_what_isnt_ours(tmp_path: Path, busy: int, own: float, state: str, seen: str) -> None:
    board = jetson_orin(tmp_path)
    now = cpu_times(board.root)
    assert now is not None
    earlier = CpuTimes(now.busy - busy, now.idle - (100 - busy), now.steal)
    check = _checks(board, earlier=earlier, own_share=own)["other load"]
    assert check.state == state
    assert seen in (check.seen or "")


def test_a_quota_of_all_cores_is_fine(tmp_path: Path) -> None:
    board = jetson_orin(tmp_path).write({"sys/fs/cgroup/cpu.max": "400000 100000"})
    assert _checks(board)["cgroup quota"] == Check("cgroup quota", "ok", "4 of 4 cores", None)
