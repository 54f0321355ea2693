from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeproof.cli.main import main
from edgeproof.measure.runs_file import write_runs
from measure.runs_files import HOST, measured, runs_file


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_runs(tmp_path / "a.json", runs_file([measured(ms=10)]))
    write_runs(tmp_path / "same.json", runs_file([measured(ms=10, seed=1)]))
    write_runs(tmp_path / "fast.json", runs_file([measured(ms=4)]))
    write_runs(tmp_path / "both.json", runs_file([measured("x", 4), measured("y", 10)]))
    write_runs(tmp_path / "far.json", runs_file([measured(ms=4)], host={**HOST, "processor": "Another"}))
    (tmp_path / "cut.json").write_bytes((tmp_path / "a.json").read_bytes()[:500])
    newer = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "newer.json").write_text(json.dumps({**newer, "format": 99}))
    return tmp_path


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (["a", "same"], "can't tell"),
        (["a", "fast"], "faster"),
        (["fast", "a"], "slower"),
        (["both"], "slower"),
        (["a", "far", "--across-hosts"], "faster"),
    ],
)
def test_verdicts(files: Path, capsys: pytest.CaptureFixture[str], names: list[str], verdict: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare", *_paths(files, names), "--json"])
    assert caught.value.code == 0
    seen = capsys.readouterr()
    (pair,) = json.loads(seen.out)["pairs"]
    assert pair.keys() >= {"a", "b", "ratio", "ci", "p", "verdict"}
    assert pair["verdict"] == verdict
    assert pair["ci"][0] <= pair["ratio"] <= pair["ci"][1]
    assert verdict in seen.err


@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (["a", "nowhere"], 2, "isn't there"),
        (["a", "cut"], 1, "cut short"),
        (["a", "newer"], 1, "pip install -U edgeproof"),
        (["a", "far"], 2, "--across-hosts"),
        (["a"], 1, "fewer than two variants"),
    ],
)
def test_what_cannot_be_compared_is_told(
    files: Path, capsys: pytest.CaptureFixture[str], names: list[str], code: int, says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare", *_paths(files, names), "--json"])
    seen = capsys.readouterr()
    assert (caught.value.code, seen.out) == (code, "")
    assert says in seen.err
    assert "Traceback" not in seen.err


def _paths(files: Path, names: list[str]) -> list[str]:
    return [name if name.startswith("-") else str(files / f"{name}.json") for name in names]
