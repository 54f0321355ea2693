"""`edgeproof export`: CONTRACT's document, exit codes, pre-flight first, nothing overwritten, nothing half done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bundles.sample_bundles import manifest
from edgeproof.bundles.bundle import Golden, pack
from edgeproof.cli.export import _TARGETS
from edgeproof.cli.main import main
from edgeproof.formats import EXPORTERS
from edgeproof.verify.exporting import targets
from imaging.picture_files import encode, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in ("export", *arguments)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def _model(shape: tuple[int | str, ...] = ("N", 3, 8, 8), operator: str = "Relu", domain: str = "") -> Any:
    """Scores of five classes for each picture."""
    info = helper.make_tensor_value_info
    chance = np.random.default_rng(0)
    stored = [numpy_helper.from_array(chance.standard_normal((5, 3, 3, 3)).astype(np.float32), "w")]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["c"], ["r"], name="middle", domain=domain),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    inputs, outputs = [info("x", 1, shape)], [info("y", 1, (shape[0], 5))]
    imports = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=imports, ir_version=7)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(_model().SerializeToString())
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.png").write_bytes(encode(scene(20, 16 + number), "PNG"))
    return folder


def _here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


_FILES = {
    "openvino": (["openvino"], ["net.bin", "net.xml"]),
    "litert": (["flatbuffers", "ai_edge_litert.interpreter"], ["net.tflite"]),
    "ncnn": (["ncnn", "pnnx"], ["net.ncnn.bin", "net.ncnn.param"]),
}


@pytest.fixture(params=_FILES)
def target(request: pytest.FixtureRequest) -> str:
    for library in _FILES[request.param][0]:
        pytest.importorskip(library)
    return str(request.param)


def test_the_document_and_the_files(run: Run, source: Path, photos: Path, target: str) -> None:
    code, out, err = run(source, "--to", target, "--data", photos, "--json")
    document = json.loads(out)
    assert code == 0, err
    assert (document["target"], document["verdict"], document["inputs"]) == (target, "ok", 24)
    (check,) = document["checks"]
    assert (check["output"], check["top1"]) == ("y", 1.0)
    assert check["max_rel"] < 1e-4
    assert (document["reason"], document["kept"]) == (None, None)
    assert _here() == _FILES[target][1]
    assert document["output"] in _here()
    assert "100.0 %" in err


def test_an_operator_that_is_not_taken_is_named_first(run: Run, source: Path, target: str) -> None:
    source.write_bytes(_model(operator="Fancy", domain="acme").SerializeToString())
    code, out, err = run(source, "--to", target)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "middle" in err
    assert "acme.Fancy" in err
    assert _here() == []


def test_sizes_can_be_fixed(run: Run, source: Path, target: str) -> None:
    source.write_bytes(_model(("N", 3, "H", "W")).SerializeToString())
    if target != "openvino":
        code, _, err = run(source, "--to", target)
        assert (code, "--input-shape" in err, _here()) == (1, True, [])
    code, out, err = run(source, "--to", target, "--input-shape", "1x3x8x8", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "ok"), err
    assert run(source, "--to", target, "--input-shape", "1x4x8x8")[0] == 2


def _write_as(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """The openvino writer, but with other weights."""
    from edgeproof.formats.to_openvino import write

    def other(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        (weight,) = changed.graph.initializer
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), "w"))
        return write(changed, path)

    monkeypatch.setattr(EXPORTERS, "load", lambda name: other)


def test_an_outcome_that_differs_is_refused_and_shown(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    _write_as(monkeypatch, -1.0)
    code, out, err = run(source, "--to", "openvino", "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["output"]) == (1, "differs", "net.differs.xml")
    assert "more than 0.001" in document["reason"]
    assert document["checks"][0]["top1"] == 0.0
    with np.load(document["kept"]) as kept:
        assert kept["x"].shape == (1, 3, 8, 8)
    assert _here() == ["net.differs.bin", "net.differs.npz", "net.differs.xml"]
    assert "differs" in err


def test_without_the_runtime_the_file_is_not_checked(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("flatbuffers")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    code, out, _ = run(source, "--to", "litert", "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["checks"]) == (0, "not checked", [])
    assert "pip install" in document["reason"]
    assert _here() == ["net.tflite"]


def test_without_the_writer_it_says_what_to_install(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    code, _, err = run(source, "--to", "openvino")
    assert (code, "edgeproof[openvino]" in err, _here()) == (1, True, [])


@pytest.mark.parametrize(
    ("out", "code", "says"),
    [
        ("net.onnx", 2, ".xml"),
        ("folder.xml", 2, "is a folder"),
        ("file/net.xml", 1, "folder"),
        ("other.xml", 1, "other.bin is there already"),
    ],
)
def test_places_that_are_none_for_it(run: Run, source: Path, out: str, code: int, says: str) -> None:
    pytest.importorskip("openvino")
    Path("folder.xml").mkdir()
    Path("file").write_text("")
    Path("other.bin").write_text("of something else")
    found, _, err = run(source, "--to", "openvino", "--out", out)
    assert (found, says in err) == (code, True), err
    assert Path("other.bin").read_text() == "of something else"
    assert _here() == ["file", "folder.xml", "other.bin"]


def test_an_older_outcome_is_replaced(run: Run, source: Path) -> None:
    pytest.importorskip("openvino")
    assert run(source, "--to", "openvino")[0] == 0
    before = Path("net.bin").read_bytes()
    changed = _model()
    changed.graph.initializer[0].raw_data = bytes(len(changed.graph.initializer[0].raw_data))
    source.write_bytes(changed.SerializeToString())
    assert run(source, "--to", "openvino")[0] == 0
    assert Path("net.bin").read_bytes() != before
    assert _here() == ["net.bin", "net.xml"]


@pytest.mark.parametrize("target", ["tensorrt", "ascend", "edgetpu"])
def test_a_recipe(run: Run, source: Path, photos: Path, target: str) -> None:
    code, out, err = run(source, "--to", target, "--data", photos, "--json")
    document = json.loads(out)
    assert code == 0, err
    assert (document["output"], document["verdict"]) == (f"net.{target}", "not checked")
    assert "build.sh" in document["reason"]
    assert document["checks"][0]["max_abs"] == 0.0
    folder = Path(document["output"])
    with np.load(folder / "calibration.npz") as arrays:
        assert arrays["x"].shape == (10, 3, 8, 8)
        assert 0 <= arrays["x"].min() <= arrays["x"].max() <= 1
    with np.load(folder / "golden.npz") as arrays:
        assert sorted(arrays.files) == sorted(f"{n}.{kind}" for n in range(4) for kind in ("in.x", "out.y"))
    assert "10 photos" in (folder / "README.md").read_text()
    assert run(source, "--to", target)[0] == 0, "an older recipe is replaced"
    assert "noise" in (folder / "README.md").read_text()
    assert _here() == [f"net.{target}"]


def test_a_folder_that_is_no_recipe_stays(run: Run, source: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    code, _, err = run(source, "--to", "ascend", "--out", "mine")
    assert (code, "is no recipe" in err) == (1, True)
    assert Path("mine/thesis.txt").read_text() == "years of work"


def test_a_recipe_needs_fixed_sizes(run: Run, source: Path) -> None:
    source.write_bytes(_model(("N", 3, "H", "W")).SerializeToString())
    code, _, err = run(source, "--to", "ascend")
    assert (code, "x (Nx3xHxW)" in err, "--input-shape" in err, _here()) == (1, True, True, [])
    assert run(source, "--to", "ascend", "--input-shape", "1x3x8x8")[0] == 0


def test_names_of_a_network_run_nothing(run: Run, source: Path, tmp_path: Path) -> None:
    model = _model()
    name = "x'; touch pwned; $(touch pwned)"
    model.graph.input[0].name = model.graph.node[0].input[0] = name
    source.write_bytes(model.SerializeToString())
    assert run(source, "--to", "ascend")[0] == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "atc").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > arguments\n')
    (tmp_path / "bin" / "atc").chmod(0o755)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    subprocess.run(["/bin/sh", "net.ascend/build.sh", "Ascend310B4"], env={"PATH": path}, check=True)
    assert f"--input_shape={name}:1,3,8,8" in Path("net.ascend/arguments").read_text().splitlines()
    assert not list(Path().rglob("pwned"))


def test_where_tensorrt_is_installed_a_plan_is_built(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeproof.verify import exporting
    from edgeproof.verify.conversion import ConversionCheck

    def build_plan(model: Path, plan: Path, *, precision: str, say: Callable[[str], None]) -> None:
        say(f"building in {precision}")
        (batch, *_) = onnx.load(model).graph.input[0].type.tensor_type.shape.dim
        assert batch.dim_value == 1
        plan.write_bytes(model.read_bytes())
        plan.with_name(f"{plan.name}.json").write_text("{}")

    fake = ModuleType("edgeproof.engines.tensorrt")
    fake.build_plan = build_plan  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgeproof.engines.tensorrt", fake)
    monkeypatch.setattr(exporting, "ENGINES", {"tensorrt": fake})
    monkeypatch.setattr(exporting, "find_spec", lambda name: name)
    monkeypatch.setattr(exporting, "check_export", lambda *_, **__: ConversionCheck("ok", inputs=3))
    code, out, err = run(source, "--to", "tensorrt", "--json")
    assert (code, json.loads(out)["output"], _here()) == (0, "net.plan", ["net.plan", "net.plan.json"])
    assert "building in f32" in err
    assert "batch is fixed at 1" in err
    assert run(source, "--to", "tensorrt", "--out", "jetson.tensorrt")[0] == 0
    assert Path("jetson.tensorrt/build.sh").is_file(), "the recipe for another GPU"


def test_a_bundle_is_exported_by_its_model(run: Run, source: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    bundle = pack(
        tmp_path / "sealed.edge", manifest(), model=source.read_bytes(), golden=Golden({}, {}), evidence={}
    )
    assert run(bundle.path, "--to", "openvino")[0] == 0
    assert _here() == ["sealed.bin", "sealed.xml"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("none.onnx", None, 2), ("empty.onnx", b"", 1), ("broken.onnx", b"\x89PNG" + bytes(50), 1)],
)
@pytest.mark.parametrize("target", ["openvino", "ascend"])
def test_bad_files_are_one_line_and_leave_nothing(
    run: Run, tmp_path: Path, target: str, name: str, content: bytes | None, code: int
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found, out, err = run(tmp_path / name, "--to", target)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    assert name in err
    assert _here() == []


def test_a_slip_in_the_target_and_the_list(run: Run, source: Path) -> None:
    assert run(source, "--to", "openvin")[0] == 2
    assert sorted(_TARGETS) == sorted(targets())
