"""The verdict: what a machine did, and what latencies show, comes out as reasons; a quiet machine has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import boards
from edgeproof.measure.validity import Conditions, Watch, judge

QUIET = Conditions(8.0, 0.0, 0.0, 0, 0.0, None)


def _processes(
    seed: int = 0, drift: float = 0.0, spread: float = 0.0, runs: int = 20
) -> list[list[list[float]]]:
    rng = np.random.default_rng(seed)
    blocks = rng.lognormal(0, 0.03, (8, 5, runs)) * 10
    blocks *= np.linspace(1, 1 + drift, 40).reshape(8, 5, 1)
    blocks *= np.where(np.arange(8) % 2, 1 + spread, 1).reshape(8, 1, 1)
    return blocks.tolist()  # type: ignore[no-any-return]


def test_a_quiet_machine_is_valid_nearly_always() -> None:
    verdicts = [judge(_processes(seed), [QUIET] * 8)[0] for seed in range(20)]
    assert verdicts.count("valid") >= 19


@pytest.mark.parametrize(
    ("conditions", "verdict", "says"),
    [
        (Conditions(8.0, 0.05, 0.0, 0, 0.0, None), "suspect", "host took 5%"),
        (Conditions(8.0, 0.4, 0.0, 0, 0.0, None), "invalid", "host took 40%"),
        (Conditions(8.0, 0.0, 0.9, 0, 0.0, None), "suspect", "waited for a core in 90%"),
        (Conditions(8.0, 0.0, 0.0, 3, 0.0, None), "invalid", "throttled for heat 3 times"),
        (Conditions(8.0, 0.0, 0.0, 0, 2.0, None), "suspect", "quota stopped it for 25%"),
        (Conditions(8.0, 0.0, 0.0, 0, 0.0, ["under-voltage"]), "invalid", "under-voltage"),
    ],
)
def test_what_the_machine_did_is_told(conditions: Conditions, verdict: str, says: str) -> None:
    found, reasons = judge(_processes(), [conditions])
    assert found == verdict
    assert says in "; ".join(reasons)


def test_a_machine_that_tells_nothing_is_no_reason() -> None:
    assert judge(_processes(), [Conditions(8.0, None, None, None, None, None)]) == ("valid", [])


def test_what_the_latencies_show_is_told() -> None:
    for processes, says in (
        (_processes(drift=0.5), "drifted|went from"),
        (_processes(spread=0.5), "processes lie between"),
        (_processes(runs=1), "40 runs"),
    ):
        verdict, reasons = judge(processes, [QUIET])
        assert verdict == "suspect"
        assert any(word in "; ".join(reasons) for word in says.split("|"))
    assert judge([[[1.0] * 10]], [QUIET])[0] == "invalid"


def test_waiting_for_a_core_and_a_clock_that_steps_are_told() -> None:
    assert judge(_processes(), [QUIET], waited=[0.1] * 8)[0] == "suspect"
    assert judge(_processes(), [QUIET], waited=[0.5] * 8)[0] == "invalid"
    verdict, reasons = judge(_processes(), [QUIET], mhz=[3000.0] * 20 + [1200.0] * 10)
    assert verdict == "suspect"
    assert "between 1200 and 3000 MHz" in reasons[0]
    assert judge(_processes(), [QUIET], mhz=[3000.0, 2990.0] * 20)[0] == "valid"


def test_the_watch_reads_what_grew(tmp_path: Path) -> None:
    board = boards.x86_laptop(tmp_path)
    counters = {
        "proc/stat": "cpu 100 0 100 800 0 0 0 0 0 0\n",
        "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4",
    }
    board.write(counters)
    watch = Watch(board.root, board.run)
    board.write(
        {
            "proc/stat": "cpu 150 0 100 825 0 0 0 25 0 0\n",
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "6",
        }
    )
    seen = watch.changes([1.0])
    assert seen.steal == pytest.approx(0.25)
    assert seen.throttled == 2
    assert seen.pressure == 0.0
    assert seen.reference_ms == [1.0]


@pytest.mark.parametrize("board", ["jetson_orin", "raspberry_pi_5", "x86_laptop", "bare"])
def test_every_board_can_be_watched(tmp_path: Path, board: str) -> None:
    made = getattr(boards, board)(tmp_path)
    seen = Watch(made.root, made.run).changes()
    assert judge(_processes(), [seen])[0] in ("valid", "suspect", "invalid")
