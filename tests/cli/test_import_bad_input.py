"""`edgeproof import` of files that are no network, or a broken or hostile one: one line, and nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cli.bad_networks import DAMAGE, LARGE, MARK, ONE, WHOLE, onnx_network, put
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


_MEASURED = """
import json, sys
from edgeproof.cli.main import main

def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10

grown = {}
for name, path in json.loads(sys.argv[1]):
    before = peak()
    try:
        main(["import", path, "-q"])
    except SystemExit:
        pass
    grown[name] = peak() - before
print(json.dumps(grown))
"""


def test_no_file_makes_more_of_itself(tmp_path: Path) -> None:
    """Small files that ask for gigabytes cost less than 150 MB, once the libraries are loaded."""
    sources = []

    def add(name: str, write: Callable[[Path], Path]) -> None:
        folder = tmp_path / str(len(sources))
        folder.mkdir()
        sources.append((name, str(write(folder))))

    add("loading ONNX Runtime", lambda folder: put(folder, "net.onnx", onnx_network()))
    for name in WHOLE:
        add(f"loading for {name}", partial(put, name=name, data=b""))
    hostile = {name: write for name, (write, _) in ONE.items() if re.search("2 GB|huge|bomb", name)}
    for name, write in {**hostile, **LARGE}.items():
        add(name, write)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, json.dumps(sources)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown = json.loads(done.stdout.splitlines()[-1])
    assert {name: size for name, size in grown.items() if name in {**hostile, **LARGE} and size > 150} == {}
    assert set(hostile) <= set(grown)
    assert not list(tmp_path.rglob(MARK))
