"""The meters that boards have: a Jetson's rail, a Raspberry Pi's chip, a battery's gauge."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards import BOARDS, PMIC, PMIC_WATTS, bare, jetson_orin, raspberry_pi_5, x86_laptop
from edgeproof.devices.meters import meters, present_meters
from edgeproof.devices.meters.battery import Battery
from edgeproof.devices.meters.ina3221 import Ina3221
from edgeproof.devices.meters.raspberry import RaspberryPmic, rail_watts

RAIL = "sys/class/hwmon/hwmon1/{}"
BATTERY = "sys/class/power_supply/BAT0/{}"


@pytest.mark.parametrize(
    ("build", "names"),
    [(jetson_orin, ["ina3221"]), (raspberry_pi_5, ["pmic"]), (x86_laptop, ["rapl", "battery"]), (bare, [])],
)
def test_each_board_has_its_meters(tmp_path: Path, build, names: list[str]) -> None:  # type: ignore[no-untyped-def]
    board = build(tmp_path)
    found = meters(board.root, board.run)
    assert [meter.name for meter in found] == names
    assert all(meter.scope and meter.interval_s > 0 for meter in found)


def test_the_machine_under_us_may_have_meters_or_none() -> None:
    assert all(meter.available() for meter in meters())


@pytest.mark.parametrize("build", BOARDS)
def test_a_board_of_another_kind_has_none_of_these(tmp_path: Path, build) -> None:  # type: ignore[no-untyped-def]
    board = build(tmp_path)
    there = {meter.name for meter in present_meters(board.root, board.run)}
    for meter in (Ina3221(board.root), RaspberryPmic(board.root, board.run), Battery(board.root)):
        assert meter.present() == (meter.name in there)
        if not meter.present():
            assert meter.missing()
            assert meter.watts() is None


def test_a_jetson_is_read_at_its_total_rail_only(tmp_path: Path) -> None:
    meter = Ina3221(jetson_orin(tmp_path).root)
    assert meter.watts() == pytest.approx(5.032 * 1.208)
    assert meter.scope == "whole module, rail VDD_IN"


def test_rails_without_a_total_are_not_added_up(tmp_path: Path) -> None:
    board = jetson_orin(tmp_path).write({RAIL.format("in1_label"): "VDD_GPU_SOC"})
    meter = Ina3221(board.root)
    assert meter.present()
    assert not meter.available()
    assert meter.watts() is None
    assert "external meter" in (meter.missing() or "")
    assert meters(board.root, board.run) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in1_input", ""),
        ("in1_input", "0"),
        ("in1_input", "garbage"),
        ("curr1_input", "-3"),
        ("curr1_input", None),
    ],
)
def test_a_rail_that_cant_be_read_is_unknown(tmp_path: Path, name: str, content: object) -> None:
    assert Ina3221(jetson_orin(tmp_path).write({RAIL.format(name): content}).root).watts() is None


@pytest.mark.parametrize(
    ("stated", "interval"), [(4, 0.02), (500, 0.5), (-7, 0.02), ("", 0.02), (10**9, 1.0)]
)
def test_a_jetson_is_asked_no_more_often_than_its_chip_converts(
    tmp_path: Path, stated: object, interval: float
) -> None:
    board = jetson_orin(tmp_path).write({RAIL.format("update_interval"): stated})
    assert Ina3221(board.root).interval_s == interval


def test_a_raspberry_pi_adds_up_current_times_voltage(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path)
    assert RaspberryPmic(board.root, board.run).watts() == pytest.approx(PMIC_WATTS, rel=1e-4)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        'error=1 error_msg="Command not registered"',
        PMIC.replace("VDD_CORE_V volt", "VDD_CORE volt"),
        PMIC[:200],
    ],
    ids=["nothing", "an error", "a rail without its voltage", "cut short"],
)
def test_a_raspberry_pis_sum_is_never_smaller_than_it_says(answer: str) -> None:
    assert rail_watts(answer) is None


def test_a_raspberry_pi_without_its_program_says_how_to_have_it(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path)
    board.answers.clear()
    meter = RaspberryPmic(board.root, board.run)
    assert meter.present()
    assert "sudo usermod -aG video" in (meter.missing() or "")


def test_an_older_raspberry_pi_has_no_such_chip(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path).write({"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4"})
    assert meters(board.root, board.run) == []


@pytest.mark.parametrize(
    ("files", "watts"),
    [
        ({}, 7.85),
        ({"power_now": -7_850_000}, 7.85),
        ({"power_now": None, "current_now": 1_000_000, "voltage_now": 11_400_000}, 11.4),
        ({"power_now": 0, "current_now": -500_000, "voltage_now": 12_000_000}, 6.0),
        ({"power_now": None}, None),
        ({"power_now": "garbage"}, None),
        ({"status": "Charging"}, None),
        ({"status": "Full"}, None),
        ({"status": "Not charging"}, None),
        ({"status": ""}, None),
    ],
)
def test_a_battery_tells_only_while_it_discharges(
    tmp_path: Path, files: dict[str, object], watts: float | None
) -> None:
    board = x86_laptop(tmp_path).write({BATTERY.format(name): content for name, content in files.items()})
    meter = Battery(board.root)
    assert meter.watts() == (None if watts is None else pytest.approx(watts))
    assert meter.available() == (watts is not None)
    assert meter.present()


def test_a_charger_says_to_unplug_it(tmp_path: Path) -> None:
    board = x86_laptop(tmp_path).write({BATTERY.format("status"): "Charging"})
    assert "Unplug the charger" in (Battery(board.root).missing() or "")


def test_two_batteries_are_summed_while_none_charges(tmp_path: Path) -> None:
    board = x86_laptop(tmp_path)
    second = "sys/class/power_supply/BAT1/{}"
    values = {"type": "Battery", "status": "Discharging", "power_now": 1_150_000}
    board.write({second.format(name): value for name, value in values.items()})
    assert Battery(board.root).watts() == pytest.approx(9.0)
    board.write({second.format("status"): "Full"})
    assert Battery(board.root).watts() == pytest.approx(7.85)
    board.write({second.format("status"): "Charging"})
    assert Battery(board.root).watts() is None
