"""`edgeproof diagnose` as a user calls it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import edgeproof
from edgeproof.cli.main import main

NETWORK = Path(edgeproof.__file__).parent / "data" / "orientation.onnx"


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(["diagnose", *arguments])
    return int(done.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "nothing to diagnose"),
        (("net.onnx", "--pid", "1"), 2, "can't be diagnosed at once"),
        (("--pid", "1", "--threads", "2"), 2, "only --minutes goes with --pid"),
        (("--pid", "4194303"), 2, "no running process 4194303"),
        (("--pid", "0"), 2, "--pid"),
        (("missing.onnx",), 1, "missing.onnx"),
        ((str(NETWORK), "--minutes", "0"), 2, "0 minutes"),
        ((str(NETWORK), "--engine", "nothing"), 2, "nothing"),
        (("detect",), 2, "--model"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*arguments) in (code, 2)
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_the_document_of_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("needs Linux's /proc")
    assert _run("--pid", str(os.getpid()), "--minutes", "0.005", "--json") == 0
    shown = capsys.readouterr()
    document: dict[str, Any] = json.loads(shown.out)
    assert {"target", "minutes", "findings", "nodes", "observed", "verdict"} <= set(document)
    assert document["observed"]["rss_mb"][0] > 1
    assert document["nodes"] == []
    assert "watched for" in shown.err


def test_the_document_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(str(NETWORK), "--minutes", "0.02", "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {"target", "minutes", "findings", "nodes", "observed", "verdict"} <= set(document)
    assert {"arena", "shapes", "batch"} <= {one["name"] for one in document["experiments"]}
    assert document["nodes"][0]["share"] >= document["nodes"][-1]["share"] > 0
    for finding in document["findings"]:
        assert {"symptom", "seen", "experiment", "cause", "remedy", "gain", "ci"} == set(finding)
