"""Whole measurements, of networks that take no time: what was planned is measured, and what was measured is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boards
from edgeproof.core.errors import UsageError
from edgeproof.measure.bench import Plan, measure_session, new_session
from edgeproof.measure.runs import Variant
from edgeproof.measure.runs_file import RunsFile, read_runs, write_runs
from edgeproof.measure.summary import document
from edgeproof.measure.targets import Wishes, network_variants

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc")
Model = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    def write(name: str = "m", **options: Any) -> Path:
        x, y = ({"name": name, "shape": ["N", size]} for name, size in (("x", 3), ("y", 4)))
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"inputs": [x], "outputs": [y], "delay_ms": [0.5], **options}))
        return file

    return write


def _measure(files: list[Path], plan: Plan, work: Path, **options: Any) -> RunsFile:
    named = [one for file in files for one in network_variants(str(file), file.stem, Wishes(), work)]
    variants: list[Variant] = [one.variant for one in named]
    session = new_session(variants, plan, {one.variant.id: one.about for one in named})
    return measure_session(session, **options)


def test_runs_are_as_many_as_asked_for_in_as_many_processes(model: Model, tmp_path: Path) -> None:
    saved: list[bool] = []
    shares: list[float] = []
    found = _measure(
        [model("a"), model("b")],
        Plan(runs=13),
        tmp_path,
        save=lambda file: saved.append(file.complete),
        progress=shares.append,
    )
    assert found.complete
    for variant in found.variants:
        assert len(variant.latencies_ms()) == 13
        assert len(variant.processes()) == len(variant.cold_s) == 8
        assert sorted(sum(map(len, blocks)) for blocks in variant.processes()) == [1] * 3 + [2] * 5
        assert variant.error is None
        assert {"load", "first", "steady", "pss"} <= variant.memory_mb.keys()
    assert len(found.conditions) == 8
    assert all(one.reference_ms for one in found.conditions)
    assert saved == [False] * 8 + [True]
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_one_that_crashes_keeps_what_was_measured(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "RUNS.json"
    bad = model("bad", delay_ms=[30.0], crash_after=8)
    found = _measure([bad], Plan(runs=48), tmp_path, save=lambda file: write_runs(out, file))
    (row,) = document(read_runs(out))["variants"]
    assert row["verdict"] == "invalid"
    assert "SIGABRT" in row["reasons"][0]
    assert row["n"] == 3
    assert row["cold_s"] > 0
    assert read_runs(out) == found


def test_an_early_end_keeps_what_there_is(model: Model, tmp_path: Path) -> None:
    files: list[RunsFile] = []
    found = _measure(
        [model()],
        Plan(runs=800),
        tmp_path,
        save=files.append,
        stop=lambda: bool(files),
    )
    assert not found.complete
    assert len(found.variants[0].processes()) == 1
    assert len(found.variants[0].latencies_ms()) == 100


def test_an_interrupt_keeps_what_there_is(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "RUNS.json"

    def interrupt(share: float) -> None:
        if share > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _measure(
            [model()],
            Plan(runs=80),
            tmp_path,
            save=lambda file: write_runs(out, file),
            progress=interrupt,
        )
    kept = read_runs(out)
    assert not kept.complete
    assert len(kept.variants[0].latencies_ms()) >= 10


def test_arrivals_at_a_rate_that_is_too_high_are_dropped(model: Model, tmp_path: Path) -> None:
    found = _measure([model(delay_ms=[60.0])], Plan(runs=40, rate_hz=200.0), tmp_path)
    (row,) = document(found)["variants"]
    counts = row["arrivals"]
    assert counts["arrived"] == 40
    assert counts["dropped"] > 0
    assert counts["late"] == row["n"] == 40 - counts["dropped"]
    assert row["latency_ms"]["p50"] >= 60


def test_percentiles_that_the_runs_do_not_allow_are_null(model: Model, tmp_path: Path) -> None:
    (row,) = document(_measure([model()], Plan(runs=20), tmp_path))["variants"]
    assert row["latency_ms"]["p50"] >= 0.5
    assert row["latency_ms"]["p99"] is None
    assert row["not_available"]["p99"] == "needs 662 runs, had 20"
    assert row["energy_mj"] is None
    assert row["energy"]["reason"] == "no meter"
    assert row["throughput"] < 2000
    assert row["cold_s"] > row["load_s"] > 0


def test_energy_comes_from_the_machines_meter(model: Model, tmp_path: Path) -> None:
    board = boards.jetson_orin(tmp_path / "orin")
    found = _measure([model()], Plan(runs=8), tmp_path, root=board.root)
    energy = document(found)["variants"][0]["energy"]
    assert energy["meter"]
    assert energy["scope"]
    assert (document(found)["variants"][0]["energy_mj"] is None) == (energy["reason"] is not None)


@pytest.mark.parametrize("bad", [{"runs": 0}, {"seconds": 0.0}, {"rate_hz": -1.0}, {"seconds": float("nan")}])
def test_a_plan_of_nothing_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Plan(**bad)
