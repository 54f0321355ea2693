"""`edgeproof import` of files that are no network, or a broken or hostile one: one line, and nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.bad_networks import DAMAGE, LARGE, MARK, ONE, WHOLE, put
from cli.processes import ENVIRONMENT
from edgeproof.cli.main import main

Refused = Callable[[Path], str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Imports what isn't to be imported, in an empty folder; gives what was said."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")

    def call(source: Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main(["import", str(source)])
        said, complaint = capsys.readouterr()
        assert caught.value.code in (1, 2), complaint
        assert said == ""
        assert complaint.startswith("edgeproof: "), complaint
        assert complaint.count("\n") == 1, complaint
        assert "Traceback" not in complaint
        assert sorted(tmp_path.rglob("*")) == before, "something was left behind, or run"
        return complaint

    return call


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_is_refused(name: str, damage: str, refused: Refused, tmp_path: Path) -> None:
    source = put(tmp_path, name, DAMAGE[damage](WHOLE[name]()))
    assert source.name in refused(source)


@pytest.mark.parametrize("name", ONE)
def test_a_wrong_or_hostile_file_is_refused(name: str, refused: Refused, tmp_path: Path) -> None:
    if name.startswith("torch: "):  # without its libraries that is what is said, whatever the file holds
        pytest.importorskip("onnxscript", reason="the extra `torch` isn't installed")
    write, word = ONE[name]
    source = write(tmp_path)
    said = refused(source)
    assert word in said
    assert source.stem in said


@pytest.mark.parametrize("name", ["net.caffemodel", "none.onnx", "none.keras", "none.pt2", "none"])
def test_a_file_that_is_not_there_is_refused(name: str, refused: Refused, tmp_path: Path) -> None:
    source = put(tmp_path, name, b"") if name == "net.caffemodel" else tmp_path / name
    if name == "net.caffemodel":
        source.with_suffix(".prototxt").unlink()
    assert source.stem in refused(source)


# Of every file twice: what its reader loads once, such as a library, is there the second time.
_MEASURED = """
import json, sys
from edgeproof.cli.main import main
from edgeproof.measure.memory import peak_mb, reset_peak
from edgeproof.streams.batches import resident_bytes

grown = {}
for name, path in json.loads(sys.argv[1]) * 2:
    reset_peak()
    before = resident_bytes()
    try:
        main(["import", path, "-q"])
    except SystemExit:
        pass
    grown[name] = peak_mb() - before / 1e6
print(json.dumps(grown))
"""


def test_no_file_makes_more_of_itself(tmp_path: Path) -> None:
    """Small files that ask for gigabytes cost no more than twice their size, and what pages are rounded to."""
    sources = {}
    for name, write in {
        **{name: write for name, (write, _) in ONE.items() if re.search("2 GB|huge|bomb", name)},
        **LARGE,
    }.items():
        folder = tmp_path / str(len(sources))
        folder.mkdir()
        sources[name] = write(folder)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, json.dumps([(name, str(path)) for name, path in sources.items()])],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown = json.loads(done.stdout.splitlines()[-1])
    allowed = {name: 1 + 2 * path.stat().st_size / 1e6 for name, path in sources.items()}
    assert {name: size for name, size in grown.items() if size > allowed[name]} == {}
    assert not list(tmp_path.rglob(MARK))
