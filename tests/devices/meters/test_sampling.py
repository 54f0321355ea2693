"""Power into energy: the trapezoid rule, and what is no measurement."""

from __future__ import annotations

import math
import threading

import pytest

from edgeproof.core.errors import UsageError
from edgeproof.devices.meters import Estimate, idle_watts
from edgeproof.devices.meters.sampling import Integral, SampledMeter


class _Steady(SampledMeter):
    """Tells 5 W, and when it has told them often enough."""

    name, scope, interval_s = "steady", "a test", 0.0001

    def __init__(self, readings: int, failing: bool = False) -> None:
        self.seen, self._left, self._failing = threading.Event(), readings, failing

    def missing(self) -> str | None:
        return None

    def watts(self) -> float | None:
        self._left -= 1
        if self._left <= 0:
            self.seen.set()
        return None if self._failing else 5.0


def _fill(times: list[float], watts: list[float | None]) -> Integral:
    integral = Integral()
    for when, power in zip(times, watts, strict=True):
        integral.add(when, power)
    return integral


@pytest.mark.parametrize(
    ("power", "joules"),
    [
        (lambda t: 5.0, 50.0),
        (lambda t: 2.0 * t, 100.0),
        (lambda t: 3 + math.sin(t), 30 + 1 - math.cos(10)),
        (lambda t: 1.0 if t < 5 else 9.0, 50.0),
    ],
    ids=["steady", "rising", "waving", "a step"],
)
def test_the_energy_is_the_area_under_the_power(power, joules) -> None:  # type: ignore[no-untyped-def]
    times = [n / 100 for n in range(1001)]
    energy = _fill(times, [power(t) for t in times]).energy(10.0)
    assert energy.joules == pytest.approx(joules, rel=1e-3)
    assert energy.watts == pytest.approx(joules / 10, rel=1e-3)
    assert (energy.samples, energy.reason, energy.estimated) == (1001, None, False)
    assert energy.rate_hz == pytest.approx(100, rel=0.01)


def test_readings_at_uneven_times_count_by_their_time() -> None:
    times = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 10.0]
    assert _fill(times, [4.0] * 11).energy(10.0).joules == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("watts", "reason"),
    [
        ([], "no reading"),
        ([None] * 30, "no reading"),
        ([5.0] * 9, "too short"),
        ([5.0] * 50 + [None], "1 of 51 readings failed"),
    ],
)
def test_what_isnt_known_is_none_and_says_why(watts: list[float | None], reason: str) -> None:
    energy = _fill([n * 0.1 for n in range(len(watts))], watts).energy(len(watts) * 0.1)
    assert energy.joules is None
    assert energy.watts is None
    assert energy.above_idle(1.0) is None
    assert reason in (energy.reason or "")


def test_one_failed_reading_in_a_hundred_is_bridged() -> None:
    watts: list[float | None] = [5.0] * 60 + [None] + [5.0] * 60
    assert _fill([n * 0.1 for n in range(121)], watts).energy(12.0).joules == pytest.approx(60.0)


def test_a_meter_reads_by_itself_between_start_and_stop() -> None:
    meter = _Steady(20)
    meter.start()
    assert meter.seen.wait(30)
    energy = meter.stop()
    assert energy.samples >= 20
    assert energy.joules == pytest.approx(5.0 * energy.seconds)
    assert energy.above_idle(2.0) == pytest.approx(3.0 * energy.seconds)


def test_a_meter_that_was_not_started_says_so() -> None:
    with pytest.raises(UsageError, match=r"start\(\)"):
        _Steady(1).stop()


def test_starting_anew_forgets_what_was_measured() -> None:
    meter = _Steady(20, failing=True)
    meter.start()
    assert meter.seen.wait(30)
    meter.seen.clear()
    meter._left, meter._failing = 20, False
    meter.start()
    assert meter.seen.wait(30)
    assert meter.stop().joules is not None


def test_resting_lasts_as_long_as_the_meter_needs() -> None:
    slept: list[float] = []
    meter = _Steady(20)
    meter.interval_s = 0.5
    assert idle_watts(meter, 1.0, sleep=slept.append) is None  # nobody waited: two readings
    assert idle_watts(Estimate(4.0), 1.0, sleep=slept.append) == pytest.approx(4.0)
    assert slept == [6.0, 1.0]
