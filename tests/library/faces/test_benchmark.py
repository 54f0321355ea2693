"""Measuring the pipeline: the ways, the turns, and what is let in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.processes import start
from edgeproof.core.errors import DataError
from edgeproof.library.faces.benchmark import PIPELINED, SERIAL, Way, best_of, plan, sample_crops
from edgeproof.library.faces.benchmark_page import page
from edgeproof.library.faces.candidates import LEAST_COSINE, Candidate, int8_bundle
from edgeproof.library.faces.faces import Faces
from edgeproof.tasks.face_recognition import FaceRecognizer


def test_what_was_refused_is_not_measured() -> None:
    found = [
        Candidate("ov-bf16", "m.onnx", "openvino", {"precision": "bf16"}),
        Candidate("bad", "m", refused="no"),
    ]
    ways = plan({"recognizer": None, "engine": "onnxruntime", "options": {}, "long_side": 256}, found, 1e9)
    assert [way.id for way in ways] == [SERIAL, PIPELINED, "pipelined ov-bf16"]
    assert ways[0].request["serial"]
    assert ways[2].request["recognizer"]["engine"] == "openvino"
    assert all("engine" not in way.request["faces"] for way in ways)


@pytest.mark.parametrize(
    ("resident", "slope"),
    [([100.0] * 12, 0.0), ([100 + 0.05 * turn for turn in range(12)], 1.0), ([1.0, 2.0], None)],
)
def test_growth_is_told_for_each_image(resident: list[float], slope: float | None) -> None:
    way = Way("a", {}, resident_mb=resident, images=50 * len(resident))
    assert way.slope_kb() == (None if slope is None else pytest.approx(slope))


def test_the_fastest_pipelined_way_is_the_best() -> None:
    ways = [
        Way(SERIAL, {}, seconds=[0.1], blocks=[[1.0] * 9]),
        Way(PIPELINED, {}, seconds=[2.0], blocks=[[1.0] * 9]),
        Way("x", {}, seconds=[1.0], blocks=[[1.0] * 9]),
        Way("y", {}),
    ]
    best = best_of(ways)
    assert best is not None
    assert best.id == "x"


def test_an_int8_bundle_keeps_the_vectors(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the extra `fit`")
    models = shared / "models"
    photos = sorted((shared / "data" / "lfw" / "images").rglob("*.jpg"))[::18]
    faces = Faces(
        models / "yunet-n-dynamic.onnx", models / "mobilefacenet-foamliu.onnx", long_side=256
    ).open()
    crops = sample_crops(photos, faces, 64)
    bundle = int8_bundle(faces.recognizer, crops[:40], tmp_path / "int8.edge")
    with FaceRecognizer(bundle) as small:
        cosine = (small.embed(crops[40:]) * faces.recognizer.embed(crops[40:])).sum(axis=1)
    assert cosine.mean() > LEAST_COSINE
    assert (bundle / "model.onnx").stat().st_size < (models / "mobilefacenet-foamliu.onnx").stat().st_size / 3
    with pytest.raises(DataError, match="too few to calibrate"):
        int8_bundle(faces.recognizer, np.zeros((3, 112, 112, 3), np.uint8), tmp_path / "no.edge")


def test_the_command_writes_its_report(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for path in sorted((shared / "data" / "lfw" / "images").rglob("*.jpg"))[:6]:
        shutil.copyfile(path, tmp_path / "in" / path.name)
    models = shared / "models"
    process = start(
        *(
            "faces",
            "benchmark",
            "--input",
            str(tmp_path / "in"),
            "--out",
            str(tmp_path / "out"),
            "--seconds",
            "1",
        ),
        *("--detector", str(models / "yunet-n-dynamic.onnx"), "--long-side", "256", "--json"),
        *("--recognizer", str(models / "mobilefacenet-foamliu.onnx")),
    )
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    document = json.loads(out)
    first, second = document["ways"][:2]
    assert (first["id"], second["id"]) == (SERIAL, PIPELINED)
    assert second["images_per_s"] > 0
    assert second["peak_mb"] > 30
    assert second["speedup"]["ci"][0] <= second["speedup"]["value"] <= second["speedup"]["ci"][1]
    assert second["per_image_ms"]["p99"] is None  # too few
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == document
    assert (tmp_path / "out" / "report.md").read_text() == page(document)
    assert "serial f32" in (tmp_path / "out" / "report.md").read_text()
