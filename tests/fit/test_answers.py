"""What files answer to rows, part by part: the engine's own outputs, every end told, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, NotFoundError
from edgeproof.engines import open_engine
from edgeproof.fit.answers import Part, outputs_in_parts
from edgeproof.fit.rows import RowWriter
from edgeproof.measure.runs import Variant

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc")
ROWS = 150  # a first row alone, then three parts


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    with RowWriter(tmp_path / "rows.npz") as writer:
        for row in np.random.default_rng(1).standard_normal((ROWS, 3)).astype(np.float32):
            writer.add(row)
    return tmp_path / "rows.npz"


def _model(path: Path, **options: object) -> Path:
    x, y = ({"name": name, "shape": ["N", size], "dtype": "float32"} for name, size in (("x", 3), ("y", 4)))
    path.write_text(json.dumps({"inputs": [x], "outputs": [y], **options}))
    return path


@pytest.mark.parametrize("side_by_side", [1, 2, 3])
def test_each_answers_to_each_row_or_says_why_not(tmp_path: Path, rows: Path, side_by_side: int) -> None:
    files = {
        "good": _model(tmp_path / "good.json"),
        "at once": _model(tmp_path / "at-once.json", crash_after=1),
        "later": _model(tmp_path / "later.json", crash_after=90),
        "missing": tmp_path / "nowhere.json",
        "again": _model(tmp_path / "again.json"),
    }
    variants = [Variant(name, file, engine="null") for name, file in files.items()]
    (tmp_path / "work").mkdir()
    found: dict[str, list[Part]] = {name: [] for name in files}
    names = list(files)
    for part in outputs_in_parts(
        variants, "x", rows, range(10, ROWS), tmp_path / "work", side_by_side=side_by_side, memory_mb=None
    ):
        found[names[part.variant]].append(part)
    with open_engine(files["good"], engine="null") as engine, np.load(rows) as given:
        expected = [engine.run({"x": given[str(place)][None]})["y"] for place in range(10, ROWS)]
    for name in ("good", "again"):
        answers = [outputs["y"] for part in found[name] for outputs in _outputs(part)]
        np.testing.assert_array_equal(answers, expected)
        assert [part.start for part in found[name]] == sorted(part.start for part in found[name])
    for name in ("at once", "later"):
        error = found[name][-1].outputs
        assert "SIGABRT" in str(error)
        assert all(not isinstance(part.outputs, EdgeproofError) for part in found[name][:-1])
    assert isinstance(found["missing"][0].outputs, NotFoundError)
    assert len(found["later"]) > len(found["at once"])
    assert not list((tmp_path / "work").iterdir())


def test_who_stops_asking_waits_for_nobody(tmp_path: Path, rows: Path) -> None:
    variants = [Variant(name, _model(tmp_path / f"{name}.json"), engine="null") for name in "ab"]
    (tmp_path / "work").mkdir()
    parts = outputs_in_parts(
        variants, "x", rows, range(ROWS), tmp_path / "work", side_by_side=2, memory_mb=None
    )
    assert next(parts).start == 0
    parts.close()


def _outputs(part: Part) -> list[dict[str, np.ndarray]]:
    assert not isinstance(part.outputs, EdgeproofError), part.outputs
    return part.outputs
