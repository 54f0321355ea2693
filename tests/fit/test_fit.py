"""The main job, for real: fit the orientation network on photos, check the bundle, use it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgeproof.bundles.bundle import open_bundle
from edgeproof.cli.main import main
from edgeproof.fit import run as fit_run
from edgeproof.fit.run import fit
from edgeproof.tasks.orientation import builtin_model

pytest.importorskip("onnx", reason="fitting needs onnx: pip install 'edgeproof[fit]'")


def photos(folder: Path, count: int) -> Path:
    """Pictures with an up and a down: a sky, a ground and some houses."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        chance = np.random.default_rng(number)
        image = Image.new("RGB", (320, 240), (110, 160, 255 - int(chance.integers(60))))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 150, 320, 240), (50, 120 + int(chance.integers(60)), 40))
        for _ in range(4):
            x, height = int(chance.integers(280)), int(chance.integers(30, 90))
            draw.rectangle((x, 170 - height, x + 40, 170), tuple(chance.integers(0, 256, 3).tolist()))
            draw.polygon(
                ((x - 5, 170 - height), (x + 20, 145 - height), (x + 45, 170 - height)), (150, 40, 30)
            )
        image.save(folder / f"{number:03}.jpg", quality=90)
    return folder


def edgeproof(*arguments: str) -> tuple[int, str, str]:
    """Run the command line as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "edgeproof", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """A fit on few photos, by the command line: its document, what it said, and its folder."""
    folder = tmp_path_factory.mktemp("fit")
    code, document, said = edgeproof(
        "fit",
        "orientation",
        "--data",
        str(photos(folder / "photos", 12)),
        "--out",
        str(folder / "o.edge"),
        "--json",
    )
    assert code == 0, said
    return json.loads(document), said, folder


def test_every_candidate_has_its_row(fitted: tuple[dict[str, Any], str, Path]) -> None:
    document, said, folder = fitted
    rows = {row["id"]: row for row in document["candidates"]}
    assert document["baseline"] == "ort-f32-t1"
    assert len(rows) >= 6
    assert {"f32", "fp16-weights", "int8"} <= {row["precision"] for row in rows.values()}
    # Slower than the original, where the machine is quiet enough to tell; unproven on so few photos anyway.
    assert rows["ort-int8-dynamic-t1"]["status"] == "refused"
    for row in rows.values():
        assert row["id"] in said
        if row["status"] == "ok":
            assert row["latency_ms"]["p50"] > 0
            assert 20 < row["rss_mb"] < 400
            assert 0 < row["cold_s"] < 60
            assert row["energy_mj"] is None
        else:
            assert row["reason"]
    assert document["photos"]["evidence"] == 9
    assert document["photos"]["calibration"] == 3
    assert Path(document["report"]).read_text().startswith("<!")
    assert Path(document["report"]).parent == folder


def test_the_demo_says_how_many_photos_are_missing(
    fitted: tuple[dict[str, Any], str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place = Path(__file__).parents[2] / "tools/demo.py"
    found = importlib.util.spec_from_file_location("demo", place)
    assert found is not None
    assert found.loader is not None
    demo = importlib.util.module_from_spec(found)
    found.loader.exec_module(demo)
    demo.closing_words([], fitted[0], {}, Path("sheet.jpg"))
    assert "9 photos can't prove" in capsys.readouterr().out


def test_few_photos_prove_nothing_so_the_same_network_is_chosen(
    fitted: tuple[dict[str, Any], str, Path],
) -> None:
    document = fitted[0]
    assert document["chosen"].startswith(("ort-f32", "ov-f32"))
    int8 = [row for row in document["candidates"] if (row["quantizer"] or "").startswith("static")]
    assert len(int8) >= 3
    for row in int8:
        assert row["status"] == "refused"
        assert row["metric"]["verdict"] != "pass"
    assert any(
        verdict["verdict"] == "not enough evidence" and "photos, had 9" in verdict["needed"]
        for verdict in document["budget"]
    )


def test_the_bundle_checks_and_is_used(fitted: tuple[dict[str, Any], str, Path]) -> None:
    _, _, folder = fitted
    code, document, _ = edgeproof("check", str(folder / "o.edge"), "--json")
    found = json.loads(document)
    assert code == (0 if found["verdict"] == "ok" else 1)
    assert found["verdict"] in ("ok", "slower")  # a machine that got busy since is no mistake of the bundle
    assert found["golden"]["max_rel"] <= 1e-3
    assert found["latency_ms"]["p50"] > 0
    code, document, _ = edgeproof(
        "rotate", str(folder / "photos"), "--model", str(folder / "o.edge"), "--json"
    )
    assert code == 0
    assert json.loads(document)["summary"]["photos"] == 12


def test_evidence_keeps_the_raw_values(fitted: tuple[dict[str, Any], str, Path]) -> None:
    document, _, folder = fitted
    bundle = open_bundle(folder / "o.edge")
    runs = {run["id"]: run for run in bundle.evidence()["runs"]}
    chosen = next(row for row in document["candidates"] if row["id"] == document["chosen"])
    values = [value for block in runs[document["chosen"]]["blocks_ms"] for value in block]
    assert len(values) == chosen["n"]
    assert len(runs[document["chosen"]]["cold_s"]) == 3
    assert bundle.manifest.host["cores"] >= 1
    assert bundle.manifest.settings["threshold"] > 0.5


def test_nothing_is_left_of_the_work(fitted: tuple[dict[str, Any], str, Path]) -> None:
    _, _, folder = fitted
    assert sorted(path.name for path in folder.iterdir()) == ["o.edge", "o.report.html", "photos"]


def test_an_infeasible_budget_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_run, "_FINAL_SECONDS", 1.0)
    result = fit(
        "orientation",
        data=photos(tmp_path / "in", 3),
        budget="size<1MB",
        threads=[1],
        out=tmp_path / "o.edge",
    )
    assert not result.feasible
    assert not (tmp_path / "o.edge").exists()
    assert (tmp_path / "o.report.html").exists()
    by_clause = {verdict.clause: verdict.verdict for verdict in result.verdicts}
    assert by_clause["size<1MB"] == "fail"
    static = [row for row in result.rows if row.candidate.recipe.calibration]
    assert all(
        row.status == "failed" and "needs 3 photos to calibrate" in (row.reason or "") for row in static
    )


def _half_of_the_model(folder: Path) -> str:
    (folder / "half.onnx").write_bytes(builtin_model().read_bytes()[: 1 << 20])
    return str(folder / "half.onnx")


def _written(folder: Path, text: str) -> str:
    (folder / "table.csv").write_text(text)
    return str(folder / "table.csv")


def _table(folder: Path) -> str:
    return _written(folder, "file,age,gender\nnowhere.png,20,Male\n")


def _another_network(folder: Path) -> str:
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "other.onnx")
    return str(folder / "other.onnx")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (lambda f: ["orientation"], 2, "Missing option '--data'"),
        (lambda f: ["orientation", "--data", str(f / "nowhere")], 2, "isn't there"),
        (lambda f: ["orientation", "--data", str(photos(f / "none", 0))], 1, "no photo"),
        (lambda f: ["orientatoin", "--data", str(f)], 2, "Did you mean orientation?"),
        (lambda f: ["orientation", "--data", str(f), "--labels", str(f)], 2, "takes no --labels"),
        (lambda f: ["orientation", "--data", str(f), "--photos", "0"], 2, "--photos"),
        (lambda f: ["detect", "--data", str(f)], 2, "Name a network"),
        (lambda f: ["attributes", "--data", str(f), "--csv", str(f / "none.csv")], 2, "none.csv"),
        (lambda f: ["attributes", "--data", str(f), "--csv", str(_written(f, "file,age\n"))], 1, "gender"),
        (lambda f: ["attributes", "--data", str(f), "--csv", _table(f)], 1, "no photo"),
        (lambda f: ["orientation", "--data", str(f), "--budget", "p98<3ms"], 2, "Did you mean p9"),
        (lambda f: ["orientation", "--data", str(f), "--budget", "p99<3"], 2, "ms"),
        (lambda f: [_half_of_the_model(f), "--data", str(f)], 1, "cut short"),
        (lambda f: [_another_network(f), "--data", str(f)], 1, "not an orientation network"),
        (
            lambda f: ["orientation", "--data", str(f), "--out", str(photos(f / "own", 1))],
            1,
            "is not a bundle",
        ),
    ],
)
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Any, code: int, says: str
) -> None:
    with pytest.raises(SystemExit) as done:
        main(["fit", *arguments(tmp_path)])
    said = capsys.readouterr()
    assert done.value.code == code
    assert says in said.err
    assert "Traceback" not in said.err
    assert not said.out
    assert not list(tmp_path.glob("*.edge"))


@pytest.mark.parametrize("seconds", [0.0, 3.0, 11.0])
def test_interrupting_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    (tmp_path / "tmp").mkdir()
    command = [
        sys.executable,
        "-m",
        "edgeproof",
        "fit",
        "orientation",
        "--data",
        str(photos(tmp_path / "in", 8)),
    ]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out" / "o.edge")],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )
    began = time.monotonic()
    while not list((tmp_path / "tmp").iterdir()) and time.monotonic() - began < 60:
        time.sleep(0.01)
    time.sleep(seconds)  # somewhere in the middle, wherever this machine is by then
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "tmp").iterdir())
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    assert not _workers_in(tmp_path)


def _workers_in(folder: Path) -> list[int]:
    """Processes that still have the folder as their place for temporary files."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        try:
            if entry.name.isdigit() and f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_on_the_photos_of_the_design(shared: Path, tmp_path: Path) -> None:
    result = fit(
        "orientation", data=shared / "data" / "photos" / "val", budget="drop<3%", out=tmp_path / "o.edge"
    )
    assert result.chosen is not None
    chosen, baseline = result.row(result.chosen), result.rows[0]
    assert chosen.candidate.precision == "int8"
    assert (chosen.size_mb or 99) <= (baseline.size_mb or 0) / 3
    assert chosen.accuracy is not None
    assert chosen.accuracy.drop is not None
    assert abs(chosen.accuracy.drop.drop) <= 0.01
    assert [(v.clause, v.verdict) for v in result.verdicts if v.candidate == chosen.id] == [
        ("drop<3%", "pass")
    ]
    # The same evidence does not do for a limit of half a point.
    from edgeproof.verify.paired import judge_drop

    verdict, needed = judge_drop(chosen.accuracy.drop, 0.005)
    assert verdict == "not enough evidence"
    assert needed is None or needed > chosen.accuracy.drop.photos
