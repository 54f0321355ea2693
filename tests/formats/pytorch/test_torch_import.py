"""PyTorch in, in each form: the copy answers as the original, and what is missing is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, UnknownNameError, UsageError
from edgeproof.engines import open_engine
from edgeproof.formats import read_network
from edgeproof.verify.importing import import_network

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed (extra `torch`)")

CODE = """
import torch

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.BatchNorm2d(4), torch.nn.Hardswish())

class Two(torch.nn.Module):
    def forward(self, image, scale):
        return {"scaled": image * scale, "mean": image.mean((1, 2, 3))}

class Noisy(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, training=True)

class Branches(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

two, noisy, branches, number, nothing = Two(), Noisy(), Branches(), 3, lambda: None

def fails():
    raise RuntimeError("no weights")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_network_code", raising=False)
    (tmp_path / "my_network_code.py").write_text(CODE)
    return tmp_path


def test_a_factory_with_any_batch(code: Path) -> None:
    result = import_network("my_network_code:build", input_shape="Nx3x16x16")
    assert (result.output, result.check.verdict) == (Path("build.onnx"), "ok"), result.check.reason
    with open_engine(result.output) as engine:
        assert [str(spec) for spec in engine.inputs] == ["input float32[N, 3, 16, 16]"]
        assert engine.run({"input": np.ones((5, 3, 16, 16), np.float32)})["output"].shape == (5, 4, 7, 7)


def test_several_inputs_and_named_outputs(code: Path) -> None:
    result = import_network("my_network_code:two", input_shape="image=1x3x8x8,scale=1x1x1x1")
    assert result.check.verdict == "ok", result.check.reason
    assert [one.output for one in result.check.differences] == ["scaled", "mean"]


@pytest.mark.parametrize("name", ["program", "script"])
def test_files_that_hold_the_program_too(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    shape = "" if name == "program" else "Nx3x8x8"
    result = import_network(files[name], tmp_path / "net.onnx", input_shape=shape)
    assert result.check.verdict == "ok", result.check.reason
    with open_engine(result.output) as engine:
        assert [str(spec) for spec in engine.inputs] == ["input float32[N, 3, 8, 8]"]
        assert [str(spec) for spec in engine.outputs] == ["output float32[N, 4, 6, 6]"]


ASKED: dict[str, tuple[Callable[[dict[str, Path]], str | Path], str, type[EdgeproofError], str]] = {
    "shape of a factory": (lambda _: "my_network_code:build", "", UsageError, "--input-shape 1x3x224x224"),
    "shape of TorchScript": (lambda files: files["script"], "", UsageError, "--input-shape"),
    "no shape for a program": (
        lambda files: files["program"],
        "1x3x8x8",
        UsageError,
        "Leave --input-shape out",
    ),
    "an input that isn't": (lambda _: "my_network_code:two", "picture=1x3", UnknownNameError, "picture"),
    "one of two": (lambda _: "my_network_code:two", "image=1x3x8x8", UsageError, "'scale'"),
    "no such module": (lambda _: "my_netwrk_code:build", "1x3x8x8", UsageError, "no Python module"),
    "no such name": (lambda _: "my_network_code:bild", "1x3x8x8", UnknownNameError, "Did you mean build"),
    "a number": (lambda _: "my_network_code:number", "1x3x8x8", UsageError, "gives a int"),
    "None": (lambda _: "my_network_code:nothing", "1x3x8x8", UsageError, "gives a NoneType"),
    "code that fails": (lambda _: "my_network_code:fails", "1x3x8x8", UsageError, "RuntimeError: no weights"),
    "another shape": (lambda _: "my_network_code:build", "1x4x8x8", ModelError, "can't be exported"),
    "chance": (lambda _: "my_network_code:noisy", "1x3x8x8", ModelError, "different values"),
    "branches": (lambda _: "my_network_code:branches", "1x3x8x8", ModelError, "can't be exported"),
    "weights only": (
        lambda files: files["zip"],
        "",
        ModelError,
        r"weights only \(7 tensors, the first: 0\.weight\)",
    ),
    "old weights": (lambda files: files["pickle"], "", ModelError, r"(?s)net:build.*load_state_dict"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_missing_or_wrong_is_said(code: Path, files: dict[str, Path], name: str) -> None:
    source, shape, error, message = ASKED[name]
    with pytest.raises(error, match=message):
        import_network(source(files), code / "net.onnx", input_shape=shape)
    assert not list(code.glob("*.onnx"))


def test_other_formats_tell_their_own_shapes(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"x")
    with pytest.raises(UsageError, match="own input shapes"):
        read_network(tmp_path / "net.tflite", input_shape={"input": (1, 3)})
