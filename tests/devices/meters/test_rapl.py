"""RAPL: packages only, wraps, permissions, counters that stand still."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from boards import Board, bare, x86_laptop
from edgeproof.core.errors import UsageError
from edgeproof.devices.meters import idle_watts
from edgeproof.devices.meters.rapl import Rapl

ZONE = "sys/class/powercap/intel-rapl:{}/{}"


@pytest.fixture
def laptop(tmp_path: Path) -> Board:
    return x86_laptop(tmp_path)


def _used(board: Board, microjoules: int, zone: str = "0") -> None:
    file = board.root / ZONE.format(zone, "energy_uj")
    board.write({ZONE.format(zone, "energy_uj"): int(file.read_text()) + microjoules})


def test_only_packages_count(laptop: Board) -> None:
    meter = Rapl(laptop.root)
    meter.start()
    for zone in ("0", "0:0", "0:1", "1"):  # the package, two parts of it, and psys, which holds it
        _used(laptop, 2_500_000, zone)
    laptop.write({"sys/class/powercap/intel-rapl-mmio:0/energy_uj": 1_002_500_000})  # its twin
    energy = meter.stop()
    assert energy.joules == 2.5
    assert meter.scope == "processor package"
    assert energy.watts == pytest.approx(2.5 / energy.seconds)


def test_two_packages_are_summed(laptop: Board) -> None:
    laptop.write({ZONE.format("2", "name"): "package-1", ZONE.format("2", "energy_uj"): 7})
    meter = Rapl(laptop.root)
    meter.start()
    _used(laptop, 1_000_000)
    _used(laptop, 3_000_000, "2")
    assert meter.stop().joules == 4.0
    assert meter.scope == "2 processor packages"


@pytest.mark.parametrize(
    ("before", "after", "largest", "joules"),
    [
        (1_000_000, 3_000_000, 262_143_328_850, 2.0),
        (262_143_000_000, 671_150, 262_143_328_850, 1.0),  # it began again
        (262_143_000_000, 671_150, "", None),  # it began again, and nobody knows after what
        (300_000_000_000, 5, 262_143_328_850, None),  # beyond its own largest
        (1_000_000, 1_000_000, 262_143_328_850, None),  # it stands still
        (1_000_000, "", 262_143_328_850, None),
        ("-5", 1_000_000, 262_143_328_850, None),
    ],
)
def test_the_counter(
    laptop: Board, before: object, after: object, largest: object, joules: float | None
) -> None:
    laptop.write({ZONE.format("0", "energy_uj"): before, ZONE.format("0", "max_energy_range_uj"): largest})
    meter = Rapl(laptop.root)
    meter.start()
    laptop.write({ZONE.format("0", "energy_uj"): after})
    energy = meter.stop()
    assert energy.joules == joules
    assert (energy.reason is None) == (joules is not None)


def test_a_wrap_while_it_runs_is_seen_by_the_looks_between(laptop: Board) -> None:
    meter = Rapl(laptop.root)
    meter.start()
    for value in (200_000_000_000, 10, 200_000_000_000, 1_000_000_000):  # twice around
        laptop.write({ZONE.format("0", "energy_uj"): value})
        meter._look()
    assert meter.stop().joules == pytest.approx(2 * 262_143.328850, rel=1e-6)


def test_counters_for_root_only_say_how_to_open_them(laptop: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = laptop.root / ZONE.format("0", "energy_uj")
    real = Path.open

    def guarded(path: Path, *words: str) -> object:
        if path == counter:
            raise PermissionError(13, "Permission denied")
        return real(path, *words)

    monkeypatch.setattr(Path, "open", guarded)
    meter = Rapl(laptop.root)
    assert meter.present()
    assert not meter.available()
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in (meter.missing() or "")


def test_without_counters_it_isnt_there(tmp_path: Path) -> None:
    meter = Rapl(bare(tmp_path).root)
    assert not meter.present()
    assert not meter.available()


def test_idle_power_is_the_mean_while_nothing_is_done(laptop: Board) -> None:
    meter = Rapl(laptop.root)
    idle = idle_watts(meter, 5.0, sleep=lambda seconds: _used(laptop, int(3e6 * seconds)))
    assert idle is not None
    assert idle > 0
    assert idle_watts(meter, 5.0, sleep=lambda _: None) is None  # the counter stood still: unknown, not 0


def test_stopping_first_is_a_mistake_that_is_told(laptop: Board) -> None:
    with pytest.raises(UsageError):
        Rapl(laptop.root).stop()


@pytest.mark.skipif(
    not os.access("/sys/class/powercap/intel-rapl:0/energy_uj", os.R_OK), reason="no RAPL to read here"
)
def test_the_counter_of_this_machine_moves() -> None:
    meter = Rapl()
    meter.start()
    sum(n * n for n in range(3_000_000))
    assert (meter.stop().joules or 0) > 0
