"""The torch engine: TorchScript's shapes, halves, strict choices, and weights that are no network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import EngineError, ModelError, UsageError
from edgeproof.engines import open_engine

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")

X = np.random.default_rng(0).random((4, 3, 8, 8), dtype=np.float32)


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network()).save(tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    free = ({0: torch.export.Dim("N")},)
    exported = torch.export.export(network(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


def test_torchscript_with_its_shape(script: Path) -> None:
    with torch.inference_mode():
        wanted = network()(torch.from_numpy(X)).numpy()
    with open_engine(script, engine="torch", options={"input_shape": "Nx3x8x8"}) as engine:
        assert [str(spec) for spec in engine.inputs] == ["input float32[N, 3, 8, 8]"]
        assert [str(spec) for spec in engine.outputs] == ["output float32[N, 144]"]
        np.testing.assert_allclose(engine.run({"input": X})["output"], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"), [("", "doesn't tell the shape"), ("1x5x8x8", "can't be run on zeros")]
)
def test_torchscript_without_a_shape_that_fits(script: Path, shape: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_engine(script, engine="torch", options={"input_shape": shape})


@pytest.mark.parametrize("options", [{"precision": "f16"}, {"precision": "bf16"}, {"autocast": True}])
def test_halves_are_near_and_float32_comes_out(program: Path, options: dict[str, Any]) -> None:
    with open_engine(program, engine="torch") as engine:
        wanted = engine.run({"input": X})["output"]
    with open_engine(program, engine="torch", options=options) as engine:
        found = engine.run({"input": X})["output"]
        assert engine.info.precision == options.get("precision", "autocast")
    assert found.dtype == np.float32
    difference = np.abs(found - wanted).max()
    assert 0 < difference < 0.02, "another precision that isn't the same"


def test_what_it_gives_is_not_the_memory_it_was_given(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(torch.nn.Identity(), (torch.zeros(2),)), tmp_path / "same.pt2")
    given = np.ones(2, np.float32)
    given.flags.writeable = False
    with open_engine(tmp_path / "same.pt2", engine="torch") as engine:
        (answer,) = engine.run({engine.inputs[0].name: given}).values()
    assert not np.shares_memory(answer, given)
    np.testing.assert_array_equal(answer, given)


def test_choices_it_lacks_are_refused(program: Path) -> None:
    with pytest.raises(UsageError, match="f32, f16 or bf16"):
        open_engine(program, engine="torch", options={"precision": "int8"})
    if not torch.backends.mps.is_available():
        with pytest.raises(EngineError, match=r"'mps'.*cpu"):
            open_engine(program, engine="torch", device="mps")


def test_weights_alone_are_no_network(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="Weights alone"):
        open_engine(tmp_path / "net.pth", engine="torch")
