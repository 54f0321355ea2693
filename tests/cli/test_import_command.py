"""`edgeproof import` and `edgeproof ops`: CONTRACT's document, exit codes, nothing overwritten, nothing half done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgeproof.cli.main import main
from edgeproof.cli.ops import _RUNTIMES
from edgeproof.formats import Imported
from edgeproof.verify import importing
from imaging.picture_files import encode, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def _model(factor: float = 2.0, opset: int = 11, operator: str = "Relu", domain: str = "") -> onnx.ModelProto:
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3, 8, 8)) for name in ("x", "y")]
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["m"]),
        helper.make_node(operator, ["m"], ["y"], name="last", domain=domain),
    ]
    stored = [numpy_helper.from_array(np.array(factor, np.float32), "factor")]
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], stored)
    return helper.make_model(graph, opset_imports=imports, ir_version=7)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(_model().SerializeToString())
    return path


def test_the_document_and_the_file(run: Run, source: Path) -> None:
    code, out, err = run("import", source, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["output"] == "net.onnx"
    assert document["verdict"] == "ok"
    assert document["checks"] == [
        {"output": "y", "max_abs": 0.0, "max_rel": 0.0, "cosine": 1.0, "top1": None}
    ]
    assert (document["reason"], document["kept"], document["inputs"]) == (None, None, 3)
    assert onnx.load("net.onnx").opset_import[0].version == 13
    assert "opset 11 to 13" in err
    assert sorted(path.name for path in Path().iterdir()) == ["net.onnx"]


def test_photos_are_what_is_compared_on(run: Run, source: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10):
        (photos / f"{number}.png").write_bytes(encode(scene(20, 16 + number), "PNG"))
    code, out, err = run("import", source, "--data", photos, "--out", "a/b/new.onnx", "--json", "-q")
    assert (code, err) == (0, "")
    assert json.loads(out)["inputs"] == 24
    assert Path("a/b/new.onnx").is_file()


def test_the_source_is_never_overwritten(run: Run, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source.read_bytes()
    monkeypatch.chdir(source.parent)
    Path("link.onnx").symlink_to(source)
    for arguments in (["net.onnx"], [source, "--out", "./net.onnx"], ["net.onnx", "--out", "link.onnx"]):
        code, out, err = run("import", *arguments)
        assert (code, out) == (2, "")
        assert "--out" in err
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("out", "code", "says"),
    [("net.prototxt", 2, ".onnx"), ("folder.onnx", 2, "is a folder"), ("file/net.onnx", 1, "folder")],
)
def test_places_that_are_no_file_for_it(run: Run, source: Path, out: str, code: int, says: str) -> None:
    Path("folder.onnx").mkdir()
    Path("file").write_text("")
    found, _, err = run("import", source, "--out", out)
    assert (found, says in err) == (code, True), err


def test_a_copy_that_differs_is_refused_and_shown(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        importing, "read_network", lambda _, **__: Imported(_model(2.1, opset=13), ("A note.",))
    )
    code, out, err = run("import", source, "--json")
    document = json.loads(out)
    assert code == 1
    assert (document["verdict"], document["output"]) == ("differs", "net.differs.onnx")
    assert document["checks"][0]["max_rel"] == pytest.approx(0.05, rel=1e-3)
    assert "more than 0.0001" in document["reason"]
    with np.load(document["kept"]) as kept:
        assert kept["x"].shape == (1, 3, 8, 8)
    assert sorted(path.name for path in Path().iterdir()) == ["net.differs.npz", "net.differs.onnx"]
    assert "A note." in err


def test_not_checked_says_so(run: Run, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeproof.verify import conversion

    monkeypatch.delitem(conversion.NATIVE, "onnx")
    code, out, err = run("import", source, "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["checks"]) == (0, "not checked", [])
    assert document["reason"]
    assert "not checked" in err


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.onnx", None, 2),
        ("empty.onnx", b"", 1),
        ("broken.onnx", b"\x89PNG" + bytes(50), 1),
        ("notes.txt", b"text", 1),
    ],
)
@pytest.mark.parametrize("verb", ["import", "ops"])
def test_bad_files_are_one_line_and_leave_nothing(
    run: Run, tmp_path: Path, verb: str, name: str, content: bytes | None, code: int
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found, out, err = run(verb, tmp_path / name)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    assert name in err
    assert not list(Path().iterdir())


def test_ops_of_a_network_that_is_taken(run: Run, source: Path) -> None:
    code, out, err = run("ops", source, "--for", "onnxruntime", "--json")
    entry = {"engine": "onnxruntime", "verdict": "ok", "nodes": [], "reason": None}
    assert (code, json.loads(out)) == (0, {"model": str(source), "engines": [entry]})
    assert "onnxruntime" in err


def test_ops_names_the_node_that_is_not(run: Run, source: Path) -> None:
    source.write_bytes(_model(operator="Fancy", domain="acme").SerializeToString())
    code, out, err = run("ops", source, "--for", "onnxruntime", "--json")
    (entry,) = json.loads(out)["engines"]
    assert (code, entry["verdict"]) == (1, "unsupported")
    assert [(node["node"], node["operator"]) for node in entry["nodes"]] == [("last", "acme.Fancy")]
    assert "acme.Fancy" in err


def test_ops_without_a_choice_asks_every_runtime(run: Run, source: Path) -> None:
    code, out, _ = run("ops", source, "--json", "-q")
    engines = json.loads(out)["engines"]
    assert code == 0
    assert [each["engine"] for each in engines] == list(_RUNTIMES)
    assert all(each["reason"] for each in engines if each["verdict"] != "ok")


def test_ops_for_a_runtime_that_is_not_known_is_not_a_pass(run: Run, source: Path) -> None:
    assert run("ops", source, "--for", "ascend")[0] == 1
    assert run("ops", source, "--for", "nothing")[0] == 2


def test_a_topology_without_weights_is_tried_with_weights_by_chance(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "net.prototxt"
    source.write_text(
        'name: "n" input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"\n'
        "  convolution_param { num_output: 4 kernel_size: 3 } }\n"
    )
    code, _, err = run("import", source)
    assert (code, "--random-weights SEED" in err) == (1, True)
    code, out, _ = run("import", source, "--random-weights", 1, "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "not checked")
    assert Path("net.onnx").exists()
    code, _, err = run("import", "net.onnx", "--out", "again.onnx", "--random-weights", 1)
    assert (code, "has its own weights" in err) == (2, True)
