from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import DataError, EdgeproofError, NotFoundError
from edgeproof.measure.runs_file import FORMAT, read_runs, write_runs
from measure.runs_files import measured, runs_file


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("runs") / "RUNS.json"
    write_runs(file, runs_file([measured(), measured("other", 20.0)]))
    return file


def test_what_is_written_is_read_back(written: Path) -> None:
    assert read_runs(written) == runs_file([measured(), measured("other", 20.0)])
    document = json.loads(written.read_text())
    assert document["format"] == FORMAT
    assert len(document["variants"][0]["blocks"][0]["latency_ms"]) == 5


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0.0, 0.999))
def test_a_file_cut_short_is_told(
    written: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    data = written.read_bytes().rstrip()
    short = tmp_path_factory.mktemp("short") / "RUNS.json"
    short.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match="cut short"):
        read_runs(short)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": FORMAT + 1}, "format"),
        ({"variants": [{"id": "x"}]}, "whole file"),
        ({"format": "one"}, "cut short"),
        ({"variants": None}, "whole file"),
        ({"host": 3}, "whole file"),
    ],
)
def test_other_files_are_refused(written: Path, tmp_path: Path, change: dict[str, object], says: str) -> None:
    file = tmp_path / "RUNS.json"
    file.write_text(json.dumps({**json.loads(written.read_text()), **change}))
    with pytest.raises(DataError, match=says):
        read_runs(file)


@pytest.mark.parametrize("value", [0, -1, "x", None, 1e999])
def test_a_latency_that_is_none_is_refused(written: Path, tmp_path: Path, value: object) -> None:
    document = json.loads(written.read_text())
    document["variants"][0]["blocks"][0]["latency_ms"][0] = value
    file = tmp_path / "RUNS.json"
    file.write_text(json.dumps(document))
    with pytest.raises(DataError):
        read_runs(file)


def test_two_variants_of_one_id_and_wild_processes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "RUNS.json"
    write_runs(file, runs_file([measured(), measured()]))
    with pytest.raises(DataError, match="by hand"):
        read_runs(file)
    document = json.loads(file.read_text())
    document["variants"] = document["variants"][:1]
    document["variants"][0]["blocks"][0]["process"] = 10**9
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match="by hand"):
        read_runs(file)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe", b"{" * 100_000, b"null"])
def test_what_is_no_file_of_runs_is_told(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "RUNS.json"
    file.write_bytes(data)
    with pytest.raises(DataError):
        read_runs(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_runs(tmp_path / "RUNS.json")
    with pytest.raises(EdgeproofError):
        read_runs(tmp_path)
