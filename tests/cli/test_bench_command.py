from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.processes import start
from edgeproof.cli.main import main
from edgeproof.measure.runs_file import read_runs

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc")
_KEYS = {
    "id", "target", "engine", "provider", "precision", "threads", "batch", "latency_ms", "throughput", "cold_s",
    "load_s", "first_ms", "memory_mb", "energy_mj", "stages_ms", "n", "verdict", "reasons",
}  # fmt: skip


@pytest.fixture
def net(tmp_path: Path) -> str:
    return _write(tmp_path / "net.json")


def _write(file: Path, **options: Any) -> str:
    x, y = ({"name": name, "shape": ["N", size]} for name, size in (("x", 3), ("y", 4)))
    file.write_text(json.dumps({"inputs": [x], "outputs": [y], "delay_ms": [0.5], **options}))
    return str(file)


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any] | None, str]:
    with pytest.raises(SystemExit) as caught:
        main([*words])
    seen = capsys.readouterr()
    return int(caught.value.code or 0), json.loads(seen.out) if seen.out else None, seen.err


def test_the_document_is_that_of_the_contract(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, said = _run(
        capsys, "bench", net, "--threads", "1", "--threads", "2", "--runs", "12", "--json"
    )
    assert code == 0
    assert document is not None
    assert document["host"]["cores"] >= 1
    assert [row["threads"] for row in document["variants"]] == [1, 2]
    for row in document["variants"]:
        assert row.keys() >= _KEYS
        assert set(row["latency_ms"]) == {"p50", "p90", "p95", "p99", "p999"}
        assert set(row["memory_mb"]) == {"load", "first", "steady", "peak", "pss"}
        assert row["n"] == 12
        assert row["latency_ms"]["p50"] > 0
        assert row["latency_ms"]["p90"] is None
        assert row["energy_mj"] is None or row["energy_mj"] > 0
    (pair,) = document["pairs"]
    assert pair["verdict"] in ("faster", "slower", "can't tell")
    assert "n/a (needs 64 runs, had 12)" in said
    assert "inputs by chance (seed 0)" in said


def test_a_whole_task_is_measured_in_its_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(tmp_path / "photo.jpg")
    code, document, said = _run(
        capsys, "bench", "orientation", "--input", str(tmp_path / "photo.jpg"), "--runs", "24", "--json"
    )
    assert code == 0
    assert document is not None
    (row,) = document["variants"]
    assert row["task"] == "orientation"
    assert set(row["stages_ms"]) == {"decode", "prepare", "run", "decode_result"}
    assert all(value > 0 for value in row["stages_ms"].values())
    assert row["network_latency_ms"]["p50"] < row["latency_ms"]["p50"]
    assert row["memory_mb"]["peak"] < 150
    assert row["provider"] == "CPUExecutionProvider"
    assert "networks alone" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere.onnx"], 2, "no model 'nowhere.onnx'"),
        (["NET", "--runs", "0"], 2, "--runs"),
        (["NET", "--rate", "-1"], 2, "The rate is -1.0"),
        (["NET", "--duration", "0"], 2, "The duration is 0.0"),
        (["NET", "--engine", "nope"], 2, "no engine called 'nope'"),
        (["NET", "--model", "x.onnx"], 2, "--model is the network of a task"),
        (["NET", "--input", "BAD"], 1, "not a picture"),
        (["NET", "--input-shape", "banana"], 2, "input_shape"),
        (["detect"], 2, "--model yolox-nano"),
        (["orientation", "--batch", "2"], 2, "picture by picture"),
        (["BAD"], 1, "bad.onnx: The file is no ONNX model"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("nothing of the kind")
    found, document, said = _run(
        capsys, "bench", *({"NET": net, "BAD": str(bad)}.get(word, word) for word in words), "--json"
    )
    assert (found, document) == (code, None)
    assert says in said
    assert "Traceback" not in said


def test_one_that_fails_is_a_row_and_the_other_is_measured(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = _write(tmp_path / "bad.json", fail_runs=[0])
    out = tmp_path / "RUNS.json"
    code, document, said = _run(capsys, "bench", net, bad, "--runs", "11", "--out", str(out), "--json")
    assert code == 1
    assert document is not None
    good, failed = document["variants"]
    assert (good["n"], failed["n"], failed["verdict"]) == (11, 0, "invalid")
    assert failed["error"]["code"] == "engine"
    assert "Run 0 failed" in said
    assert read_runs(out).variants[0].latencies_ms()


def test_interrupted_it_keeps_and_shows_what_there_is(net: str, tmp_path: Path) -> None:
    out = tmp_path / "RUNS.json"
    process = start("bench", net, "--runs", "1000000", "--out", str(out), "--json")
    deadline = time.monotonic() + 60
    while not list(Path(f"/proc/{process.pid}/task/{process.pid}").glob("children")) or not _child(
        process.pid
    ):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(stdout)["complete"] is False
    assert "Interrupted" in stderr
    assert not read_runs(out).complete


def _child(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_worker_that_is_killed_is_told_and_the_rest_kept(net: str, tmp_path: Path) -> None:
    out = tmp_path / "RUNS.json"
    process = start("bench", net, "--runs", "1000000", "--out", str(out), "--json")
    deadline = time.monotonic() + 60
    while not (children := _child(process.pid)):
        assert time.monotonic() < deadline
    os.kill(int(children[0]), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    (row,) = json.loads(stdout)["variants"]
    assert row["verdict"] == "invalid"
    assert "SIGKILL" in stderr
    assert read_runs(out).variants[0].error


def test_a_stated_power_gives_an_estimate_and_says_so(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, said = _run(capsys, "bench", net, "--runs", "12", "--watts", "8", "--json")
    assert (code, document is not None) == (0, True)
    energy = document["variants"][0]["energy"] if document else {}
    assert "estimate" in energy["meter"]
    assert "not measured" in energy["scope"]
    assert energy["interval_s"] is None
    assert energy["above_idle_mj"] is None
    row = document["variants"][0] if document else {}
    assert row["energy_mj"] == pytest.approx(8 * row["latency_ms"]["p50"], rel=2)
    assert "an estimate from the stated 8 W" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--energy-csv", "none.csv"], "Start the meter's recording"),
        (["--energy-csv", "none.csv", "--watts", "5"], "Give one of them"),
        (["--watts", "-1"], "no power to estimate with"),
        (["--watts", "5", "--soak", "1"], "A soak has no"),
    ],
)
def test_energy_that_can_not_be_had_is_one_line(
    net: str, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    code, document, complaint = _run(capsys, "bench", net, *options)
    assert code in (1, 2)
    assert document is None
    assert said in complaint
    assert "Traceback" not in complaint
