"""The gate end to end: files that answer in processes of their own, compared with the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from edgeproof.fit.accuracy import distinct_answers, verify_files
from edgeproof.fit.candidates import RECIPES, Built, Candidate
from edgeproof.fit.data import FitData, gather
from edgeproof.fit.result import Row
from edgeproof.fit.target import Target, find_target
from edgeproof.measure.runs import Run, Variant


def changed(source: Path, out: Path, scale: float) -> Path:
    """The network with noise on its last layers' weights."""
    model = onnx.load(source)
    chance = np.random.default_rng(0)
    for weight in model.graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.ndim == 2:
            noisy = value + scale * value.std() * chance.standard_normal(value.shape)
            weight.CopyFrom(numpy_helper.from_array(noisy.astype(value.dtype), weight.name))
    onnx.save(model, out)
    return out


def row(recipe: str, model: Path, threads: int = 1) -> Row:
    candidate = Candidate(next(one for one in RECIPES if one.name == recipe), "onnxruntime", threads)
    return Row(candidate, Run(Variant(candidate.id, model, threads=threads)), Built(model))


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Target, FitData, Path]:
    """The attributes network, and crops that are labelled at random."""
    work = tmp_path_factory.mktemp("accuracy")
    (work / "crops").mkdir()
    lines = ["file,age,gender"]
    for number in range(16):
        chance = np.random.default_rng(number)
        small = chance.integers(0, 255, (6, 6, 3), np.uint8)
        Image.fromarray(small).resize((112, 112)).save(work / "crops" / f"{number}.png")
        lines.append(f"{number}.png,{chance.integers(0, 80)},{'Male' if number % 2 else 'Female'}")
    (work / "faces.csv").write_text("\n".join(lines))
    target = find_target("attributes", None, work, data=work / "crops", labels=work / "faces.csv")
    return target, gather(target.task, work / "crops", work), work


def test_each_file_is_compared_with_the_original(gathered: tuple[Target, FitData, Path]) -> None:
    target, data, work = gathered
    original = target.model
    (work / "not.onnx").write_bytes(b"no network")
    rows = [
        row("f32", original),
        row("f32", original, threads=2),
        row("f32-clean", changed(original, work / "same.onnx", 0.0)),
        row("int8-mse", changed(original, work / "other.onnx", 5.0)),
        row("fp16w", work / "not.onnx"),
    ]
    assert distinct_answers(rows) == 4
    done: list[int] = []
    verify_files(
        target, rows, data, 0.02, work, side_by_side=2, memory_mb=None, progress=lambda: done.append(1)
    )
    assert [one.status for one in rows] == ["ok", "ok", "ok", "refused", "failed"]
    assert len(done) == 3
    first, second, same, other, _ = (one.accuracy for one in rows)
    assert first is second
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.drop is None
    assert same.drop is None
    assert (same.verdict, same.agreement) == ("pass", 1.0)
    assert other.drop is not None
    assert other.unit == "faces"
    assert other.drop.photos == data.photos == 13
    assert {other.name, *(one.name for one in other.others)} == {"age right", "gender right"}
    assert other.agreement is not None
    assert other.agreement < 1
    assert "faces" in (rows[3].reason or "")
    assert len(first.answers) == 13
    assert [sorted(found) for found in first.golden] == [["age", "gender"]] * 4
    assert not list(work.glob("outputs-*"))


def test_a_candidate_that_gives_no_numbers_is_a_row(gathered: tuple[Target, FitData, Path]) -> None:
    target, data, work = gathered
    model = onnx.load(target.model)
    weight = next(one for one in model.graph.initializer if len(one.dims) == 2)
    weight.CopyFrom(numpy_helper.from_array(np.full(list(weight.dims), np.nan, np.float32), weight.name))
    onnx.save(model, work / "nan.onnx")
    rows = [row("f32", target.model), row("int8-mse", work / "nan.onnx")]
    verify_files(target, rows, data, 0.02, work, side_by_side=1, memory_mb=None, progress=lambda: None)
    assert (rows[0].status, rows[1].status) == ("ok", "failed")
    assert "not finite" in (rows[1].reason or "")
