"""An external meter's trace: read, aligned by the marker, and added up."""

from __future__ import annotations

import threading
from array import array
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import DataError, NotFoundError, UsageError
from edgeproof.devices.meters import external as external_module
from edgeproof.devices.meters import marker as marker_module
from edgeproof.devices.meters.external import External, align, energy_between
from edgeproof.devices.meters.marker import PATTERN, Marker, play_marker
from edgeproof.devices.meters.trace import Trace, read_trace

# Our clock says 1000 where the meter's says 37.
MARKER = Marker(began=1000.0, chip_s=1.0)
OFFSET = 37.0 - 1000.0
RUN = (1020.0, 1050.0)
RUN_WATTS, REST_WATTS = 7.0, 2.5


def _trace(
    *, rate: float = 10.0, noise: float = 0.2, markers: tuple[float, ...] = (37.0,), seed: int = 0
) -> Trace:
    """120 seconds of a board at rest, with markers and one run of 30 s at 7 W."""
    random = np.random.default_rng(seed)
    seconds = np.arange(0, 120, 1 / rate) + random.uniform(0, 0.2 / rate, int(120 * rate))
    watts = np.full(len(seconds), REST_WATTS)
    for began in markers:
        step = np.floor(seconds - began).astype(int)
        inside = (step >= 0) & (step < len(PATTERN))
        watts[inside] += 4.0 * np.asarray(PATTERN)[step[inside]]
    run = (seconds >= RUN[0] + OFFSET) & (seconds < RUN[1] + OFFSET)
    watts[run] = RUN_WATTS
    return Trace(array("d", seconds), array("d", watts + random.normal(0, noise, len(seconds))))


@pytest.mark.parametrize("rate", [2.5, 10.0, 250.0])
@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_marker_is_found_whatever_the_meters_clock_says(rate: float, noise: float) -> None:
    trace = _trace(rate=rate, noise=noise)
    found = align(trace, MARKER)
    assert found.offset == pytest.approx(OFFSET, abs=max(0.1, 0.6 / rate))
    assert found.correlation > 0.8
    energy = energy_between(trace, RUN[0] + found.offset, RUN[1] + found.offset)
    assert energy.joules == pytest.approx(30 * RUN_WATTS, rel=0.03)
    assert energy.rate_hz == pytest.approx(rate, rel=0.1)


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (_trace(markers=()), "isn't in the trace"),
        (_trace(markers=(5.0, 90.0)), "several markers"),
        (_trace(noise=8.0), "isn't in the trace"),
        (_trace(rate=0.5), "too slow"),
        (Trace(array("d", [0, 1, 2]), array("d", [1, 1, 1])), "shorter than the marker"),
        (Trace(array("d"), array("d")), "shorter than the marker"),
        (Trace(array("d", range(60)), array("d", [3.0] * 60)), "too slow"),
        (Trace(array("d", np.arange(0, 60, 0.1)), array("d", [3.0] * 600)), "isn't in the trace"),
        (Trace(array("d", [0.0, 1e12]), array("d", [3.0, 3.0])), "too long"),
    ],
    ids=["none", "two", "noise", "coarse", "short", "empty", "coarse and flat", "flat", "endless"],
)
def test_a_marker_that_cant_be_told_is_refused(trace: Trace, message: str) -> None:
    with pytest.raises(DataError, match=message):
        align(trace, MARKER)


@pytest.mark.parametrize("seed", range(20))
def test_noise_and_other_work_are_no_marker(seed: int) -> None:
    random = np.random.default_rng(seed)
    busy = np.repeat(random.integers(0, 2, 240), 5) * 4.0  # other programs, on and off every half second
    trace = Trace(array("d", np.arange(1200) / 10), array("d", 2 + busy + random.normal(0, 0.3, 1200)))
    with pytest.raises(DataError):
        align(trace, MARKER)


@pytest.mark.parametrize(
    ("began", "ended", "reason"),
    [(-5, 20, "doesn't cover"), (100, 130, "doesn't cover"), (10, 10.5, "too short")],
)
def test_a_trace_that_doesnt_hold_the_run_gives_no_energy(began: float, ended: float, reason: str) -> None:
    energy = energy_between(_trace(), began, ended)
    assert energy.joules is None
    assert reason in (energy.reason or "")


def test_the_marker_loads_the_processors_by_its_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []
    lock = threading.Lock()

    def work(until: float) -> None:
        with lock:
            ends.append(until)

    monkeypatch.setattr(marker_module, "_work", work)
    played = play_marker(0.001, threads=3)
    steps = [round((end - played.began) / 0.001) - 1 for end in ends]
    assert sorted(set(steps)) == [step for step, on in enumerate(PATTERN) if on]
    assert len(steps) == 3 * sum(PATTERN)


def test_a_run_is_told_once_the_file_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "meter.csv"
    meter = External(file, chip_s=0.001)
    assert not meter.available()
    with pytest.raises(UsageError):
        meter.stop()
    with pytest.raises(UsageError):
        meter.energy()
    meter.start()
    early = meter.stop()
    assert early.joules is None
    assert "no file" in (early.reason or "")
    trace = _trace()
    file.write_text("time,power\n" + "".join(f"{s},{w}\n" for s, w in zip(*trace, strict=True)))
    meter._marker, meter._began, meter._ended = MARKER, *RUN
    assert meter.available()
    assert meter.energy().joules == pytest.approx(210, rel=0.03)


@pytest.mark.parametrize(
    "text",
    [
        "time,power\n0,1.5\n1,2.5\n",
        "time_s,power_w\n0,1.5\n1,2.5\n",
        "Timestamp (ms),Power (mW)\n0,1500\n1000,2500\n",
        "Time [s],Voltage [V],Current [mA]\n0,5,300\n1,5,500\n",
        "time;power\n0;1,5\n1;2,5\n",
        "# my meter 3000\nserial,1234\ntime,power\n0,1.5\n1,2.5\n",
        "n,power,voltage,current,time\n1,1.5,9,9,0\n2,2.5,9,9,1\n",
        "\ufefftime,power\n0,1.5\n1,2.5\n",
        "time,power\n0,1.5\n\n1,2.5\n1.5,",
        "time,power\n1970-01-01T00:00:00Z,1.5\n1970-01-01T00:00:01+00:00,2.5\n",
    ],
)
def test_traces_of_many_meters_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    trace = read_trace(tmp_path / "t.csv")
    assert list(trace.seconds) == pytest.approx([0, 1])
    assert list(trace.watts) == pytest.approx([1.5, 2.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column"),
        ("a,b\n1,2\n", "no column"),
        ("time,colour\n1,2\n", "no column"),
        ("time,power\n0,1\nx,2\n2,3\n", "where a number should be"),
        ("time,power\n0,nan\n2,3\n", "where a number should be"),
        ("time,voltage,current\n0,1e300,1e300\n2,3,1\n", "where a number should be"),
        ("time,power\n5,1\n4,2\n", "goes backwards"),
        ("time,power\n" + "9" * 200_000 + ",1\n1,1\n", "."),
    ],
)
def test_a_broken_trace_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message) as told:
        read_trace(tmp_path / "t.csv")
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        read_trace(tmp_path / name)


def test_a_recording_that_lags_behind_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "meter.csv"
    lines = ["time,power\n", *(f"{s},{w}\n" for s, w in zip(*_trace(), strict=True))]
    file.write_text("".join(lines[:600]))  # the first minute: the run isn't over
    meter = External(file, lag_s=30)
    meter._marker, meter._began = MARKER, RUN[0]
    monkeypatch.setattr(external_module.time, "sleep", lambda _seconds: file.write_text("".join(lines)))
    clock = iter((RUN[1], *np.linspace(RUN[1], RUN[1] + 29, 100)))
    monkeypatch.setattr(external_module.time, "perf_counter", lambda: next(clock))
    assert meter.stop().joules == pytest.approx(210, rel=0.03)
