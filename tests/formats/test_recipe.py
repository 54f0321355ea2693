"""A recipe's folder: complete, the same each time, and its scripts do what its README says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import ModelError, UnknownNameError
from edgeproof.formats.graph import opset_of
from edgeproof.formats.recipe import OPSETS, Samples, ready_for, write_recipe


@pytest.fixture
def model(graphs):
    nodes = [graphs.node("Conv", "x w", "c"), graphs.node("Relu", "c", "y")]
    return graphs.model(nodes, {"w": graphs.weight(4, 3, 3, 3)})


def _samples(graphs, model, *, photos=0):
    pictures = [graphs.pictures(1, 3, 8, 8, seed=seed) for seed in range(3)]
    golden = [({"x": x}, {"y": graphs.run(model, x)[0]}) for x in pictures[:2]]
    return Samples(golden, {"x": np.concatenate(pictures)}, photos, {})


@pytest.fixture
def folder(graphs, model, tmp_path, request):
    path = tmp_path / "a recipe's folder"
    path.mkdir()
    ready, _ = ready_for(model, request.param)
    write_recipe(request.param, ready, path, name="my net", samples=_samples(graphs, model))
    return path


every_target = pytest.mark.parametrize("folder", OPSETS, indirect=True)


def _run(*command, folder, **env):
    # Its own files and the fakes below; nothing of this environment.
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(word) for word in command],
        env={
            "PATH": path,
            "HOME": str(folder),
            "PYTHONPATH": str(folder / "lib"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        | env,
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _program(folder: Path, name: str, text: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def _module(folder: Path, name: str, text: str) -> None:
    path = folder / "lib" / f"{name.replace('.', '/')}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    for above in path.relative_to(folder / "lib").parents[:-1]:  # else an installed one wins
        (folder / "lib" / above / "__init__.py").touch()
    path.write_text(text)


@every_target
def test_every_file_of_the_readme_is_there_and_no_word_is_left(folder):
    text = (folder / "README.md").read_text()
    assert "my net" in text
    assert "Not verified on hardware" in text
    listed = {
        name for row in re.findall(r"^\| (`.*?) \|", text, re.M) for name in re.findall(r"`([^`]+)`", row)
    }
    there = {file.name for file in folder.iterdir()}
    assert listed == there - {"README.md"}
    for file in folder.iterdir():
        if file.suffix in (".md", ".py", ".sh"):
            assert not re.search(r"@[A-Z_]+@", file.read_text()), file.name


@every_target
def test_its_scripts_can_be_read_by_their_interpreters(folder):
    for file in folder.glob("*.py"):
        compile(file.read_text(), file.name, "exec")
    assert _run("sh", "-n", folder / "build.sh", folder=folder).returncode == 0


@pytest.mark.parametrize("target", OPSETS)
def test_the_same_network_gives_the_same_bytes(graphs, model, tmp_path, target):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_recipe(
            target, ready_for(model, target)[0], tmp_path / name, name="n", samples=_samples(graphs, model)
        )
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


@pytest.mark.parametrize("target", OPSETS)
def test_made_ready(graphs, target):
    model = graphs.model([graphs.node("Relu", "x", "y")], {}, opset=8)
    ready, notes = ready_for(model, target)
    assert opset_of(ready) == OPSETS[target][0]
    assert [dim.dim_value for dim in ready.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 8]
    assert "batch is fixed at 1" in notes[0]
    assert "opset 8 to 9" in notes[1]


def test_a_newer_opset_than_is_documented(graphs):
    plain = graphs.model([graphs.node("Relu", "x", "y")], {}, shape=(1, 3, 8, 8), opset=20)
    ready, notes = ready_for(plain, "ascend")
    assert (opset_of(ready), "lowered from opset 20 to 18" in notes[0]) == (18, True)
    newer = graphs.model([graphs.node("Gelu", "x", "y")], {}, shape=(1, 3, 8, 8), opset=20)
    ready, notes = ready_for(newer, "ascend")
    assert (opset_of(ready), "can't be lowered" in notes[0]) == (20, True)


def test_open_sizes_and_unknown_targets(graphs):
    with pytest.raises(ModelError, match="NxCxHxW"):
        ready_for(graphs.model([graphs.node("Relu", "x", "y")], {}, shape=("N", "C", "H", "W")), "ascend")
    with pytest.raises(UnknownNameError, match="ascend"):
        ready_for(graphs.model([graphs.node("Relu", "x", "y")], {}), "ascent")


@pytest.mark.parametrize(("photos", "says"), [(0, "worthless"), (40, "from 0 to 1")])
def test_what_the_calibration_is_good_for(graphs, model, tmp_path, photos, says):
    samples = _samples(graphs, model, photos=photos)
    write_recipe("tensorrt", ready_for(model, "tensorrt")[0], tmp_path, name="n", samples=samples)
    assert says in (tmp_path / "README.md").read_text()
    with np.load(tmp_path / "calibration.npz") as arrays:
        assert arrays["x"].shape == (3, 3, 8, 8)


_TRTEXEC = """#!{python}
import json, os, sys
import numpy as np
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
if "help" in options:
    print({help!r})
elif "onnx" in options:
    assert os.path.isfile(options["onnx"]), options
    json.dump(sorted(options), open(options["saveEngine"], "w"))
    open(options["timingCacheFile"], "w")
else:
    name, _, file = options["loadInputs"].rpartition(":")
    assert name == "'x'" and os.path.isfile(options["loadEngine"]), options
    x = np.fromfile(file, np.float32)
    with np.load({golden!r}) as arrays:
        number = next(n for n in "01" if np.array_equal(arrays[n + ".in.x"].ravel(), x))
        y = arrays[number + ".out.y"] {change}
    values = {{"name": "y", "dimensions": "x".join(map(str, y.shape)), "values": y.ravel().tolist()}}
    text = json.dumps([{{"name": "x", "dimensions": "1", "values": [0]}}, values]).replace("NaN", "-nan")
    open(options["exportOutput"], "w").write(text)
"""


def _trtexec(folder, change="", helps="--fp16 --int8"):
    golden = str(folder / "golden.npz")
    _program(
        folder, "trtexec", _TRTEXEC.format(python=sys.executable, help=helps, golden=golden, change=change)
    )


@pytest.mark.parametrize("folder", ["tensorrt"], indirect=True)
@pytest.mark.parametrize(
    ("helps", "precision", "wanted"),
    [
        ("--fp16 --int8", None, {"fp16"}),
        ("--fp16 --int8", "--fp16 --int8", {"fp16", "int8"}),
        ("--fp16 --int8", " ", set()),
        ("as of TensorRT 11", None, set()),
    ],
)
def test_tensorrt_is_built_with_the_options_it_has(folder, helps, precision, wanted):
    _trtexec(folder, helps=helps)
    done = _run("sh", folder / "build.sh", folder=folder, **({"PRECISION": precision} if precision else {}))
    assert done.returncode == 0, done.stderr
    assert (
        set(json.loads((folder / "model.plan").read_text()))
        == {"onnx", "saveEngine", "timingCacheFile"} | wanted
    )
    assert ("README.md" in done.stderr) == ("11" in helps)


@pytest.mark.parametrize("folder", ["tensorrt"], indirect=True)
@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [("", 0, "ok"), ("* 1.001", 0, "ok"), ("* 1.5", 1, "differs"), ("* np.nan", 1, "differs")],
)
def test_a_tensorrt_plan_is_checked(folder, change, code, verdict):
    _trtexec(folder, change)
    assert _run("sh", folder / "build.sh", folder=folder).returncode == 0
    done = _run(sys.executable, folder / "check.py", folder=folder)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.splitlines()[-1].startswith(f"{verdict}: 2 golden inputs")
    assert done.stdout.splitlines()[1].split()[0] == "y"


@every_target
def test_nothing_is_checked_before_it_is_built(folder):
    done = _run(sys.executable, folder / "check.py", folder=folder)
    assert done.returncode == 2
    assert "build.sh" in done.stderr


@every_target
def test_a_missing_runtime_says_what_is_needed(folder):
    model = re.search(r'MODEL = "(.*)"', (folder / "device.py").read_text())
    assert model
    (folder / model.group(1)).write_bytes(b"built")
    for name in ("ais_bench", "tflite_runtime", "ai_edge_litert"):
        _module(folder, name, "raise ImportError('none here')")
    done = _run(sys.executable, folder / "check.py", folder=folder)
    assert done.returncode == 2
    assert "It needs" in done.stderr
    assert "Traceback" not in done.stderr


@every_target
def test_a_missing_compiler_says_so(folder):
    done = subprocess.run(
        ["/bin/sh", str(folder / "build.sh"), "Ascend310B4"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "build.sh: there is no" in done.stderr


_AIS_BENCH = """
import numpy as np
class InferSession:
    def __init__(self, device, path):
        self.golden = np.load({golden!r})
    def get_inputs(self):
        return [type("Entry", (), {{"name": "x"}})]
    def infer(self, feeds, mode):
        assert mode == "static"
        number = next(n for n in "01" if np.array_equal(self.golden[n + ".in.x"], feeds[0]))
        return [self.golden[number + ".out.y"].astype(np.float16)]
"""


@pytest.mark.parametrize("folder", ["ascend"], indirect=True)
def test_an_ascend_model_is_built_and_checked(folder):
    _program(folder, "atc", f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/arguments"\ntouch model.om\n')
    assert _run("sh", folder / "build.sh", folder=folder).returncode == 2, "which processor is asked"
    done = _run("sh", folder / "build.sh", "Ascend310B4", "--precision_mode_v2=origin", folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "arguments").read_text().split() == [
        "--model=model.onnx",
        "--framework=5",
        "--output=model",
        "--soc_version=Ascend310B4",
        "--input_shape=x:1,3,8,8",
        "--precision_mode_v2=origin",
    ]
    _module(folder, "ais_bench.infer.interface", _AIS_BENCH.format(golden=str(folder / "golden.npz")))
    done = _run(sys.executable, folder / "check.py", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    done = _run(sys.executable, folder / "check.py", "--tolerance", "1e-9", folder=folder)
    assert done.returncode == 1, "half precision is not that exact"


@pytest.mark.parametrize("folder", ["ascend"], indirect=True)
def test_the_calibration_of_an_ascend(folder):
    assert _run(sys.executable, folder / "bins.py", folder=folder).returncode == 0
    with np.load(folder / "calibration.npz") as arrays:
        found = np.fromfile(folder / "calibration" / "0" / "0002.bin", np.float32)
        assert np.array_equal(found, arrays["x"][2].ravel())


_TFLITE = """
import numpy as np
def load_delegate(name):
    assert name == "libedgetpu.so.1"
class Interpreter:
    def __init__(self, path, experimental_delegates):
        assert len(experimental_delegates) == path.endswith("_edgetpu.tflite")
        self.golden = np.load({golden!r})
    def allocate_tensors(self): pass
    def get_input_details(self):
        return [{{"name": "in", "index": 0, "shape": [1, 8, 8, 3], "dtype": np.int8, "quantization": (0.05, 3)}}]
    def get_output_details(self):
        return [{{"name": "out", "index": 1, "dtype": np.int8, "quantization": (0.02, -5)}}]
    def set_tensor(self, index, array):
        assert array.dtype == np.int8 and array.shape == (1, 8, 8, 3)
        self.x = (array.astype(np.float32) - 3) * 0.05
    def invoke(self): pass
    def get_tensor(self, index):
        far = lambda n: np.abs(self.golden[n + ".in.x"].transpose(0, 2, 3, 1) - self.x).max()
        y = self.golden[min("01", key=far) + ".out.y"]
        return np.clip(np.rint(y / 0.02) - 5, -128, 127).astype(np.int8)
"""


@pytest.mark.parametrize("folder", ["edgetpu"], indirect=True)
def test_an_edge_tpu_model_is_built_and_checked(folder):
    (folder / "model_full_integer_quant.tflite").write_bytes(b"quantised")
    _program(folder, "edgetpu_compiler", '#!/bin/sh\necho "$@"\ncp "$4" "${4%.tflite}_edgetpu.tflite"\n')
    done = _run("sh", folder / "build.sh", folder=folder)
    assert (done.returncode, done.stdout.split()) == (0, ["-s", "-o", ".", "model_full_integer_quant.tflite"])
    _module(folder, "tflite_runtime.interpreter", _TFLITE.format(golden=str(folder / "golden.npz")))
    done = _run(sys.executable, folder / "check.py", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    done = _run(sys.executable, folder / "check.py", "--tolerance", "0.001", folder=folder)
    assert done.returncode == 1, "steps of 8 bits are not that fine"
    quantised = folder / "model_full_integer_quant.tflite"
    done = _run(sys.executable, folder / "check.py", "--model", quantised, folder=folder)
    assert (done.returncode, done.stderr) == (0, ""), "on the processor, without the Edge TPU's library"


_INTERPRETER = """
class Interpreter:
    def __init__(self, path): pass
    def get_signature_list(self): return {"serving_default": {"inputs": ["x"]}}
"""
_QUANTIZER = """
class Quantizer:
    def __init__(self, path, recipe):
        assert path.endswith("model.tflite") and recipe == "static"
    def calibrate(self, data):
        (rows,) = data.values()
        return [row["x"].shape for row in rows]
    def quantize(self, calibrated):
        self.found = calibrated
        return self
    def export_model(self, path, overwrite):
        open(path, "w").write(repr(self.found))
"""


@pytest.mark.parametrize("folder", ["edgetpu"], indirect=True)
def test_the_quantiser_of_an_edge_tpu_gets_every_row(folder):
    (folder / "model.tflite").write_bytes(b"a float network")
    _module(folder, "ai_edge_litert.interpreter", _INTERPRETER)
    _module(folder, "litert_quantizer.quantizer", _QUANTIZER)
    _module(folder, "litert_quantizer.recipe", "def static_wi8_ai8():\n    return 'static'\n")
    done = _run(sys.executable, folder / "quantise.py", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "model_full_integer_quant.tflite").read_text() == repr([(1, 3, 8, 8)] * 3)


def test_without_a_tflite_file_the_reason_is_told(graphs, tmp_path, monkeypatch):
    from edgeproof.formats import EXPORTERS

    def refuse(model, path):
        raise ModelError("No TFLite operator for 'sorted' (TopK).", hint="End the network before it.")

    monkeypatch.setattr(EXPORTERS, "load", lambda name: refuse)
    model = graphs.model([graphs.node("Relu", "x", "y")], {}, shape=(1, 3, 8, 8))
    samples = Samples([], {"x": graphs.pictures(1, 3, 8, 8)}, 0, {})
    notes = write_recipe("edgetpu", model, tmp_path, name="n", samples=samples)
    assert "no .tflite" in notes[0]
    assert "'sorted' (TopK)" in (tmp_path / "README.md").read_text()
    assert not (tmp_path / "model.tflite").exists()


@pytest.mark.parametrize("folder", ["tensorrt"], indirect=True)
def test_a_share_of_a_sigmoid_is_a_share_of_one(graphs, model, folder):
    samples = _samples(graphs, model)
    tiny = [({"x": pair[0]["x"]}, {"y": pair[1]["y"] * 1e-6}) for pair in samples.golden]
    write_recipe(
        "tensorrt",
        ready_for(model, "tensorrt")[0],
        folder,
        name="n",
        samples=Samples(tiny, samples.calibration, 0, {"y": 1.0}),
    )
    _trtexec(folder, "* 1.5")
    (folder / "model.plan").write_bytes(b"built")
    assert _run(sys.executable, folder / "check.py", folder=folder).returncode == 0
