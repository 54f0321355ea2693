"""CurricularFace's backbone from its weights: the network is the published one, and recognises faces as any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.engines import open_engine
from edgeproof.formats.pytorch.ir_backbone import (
    UNITS,
    ir_backbone,
    ir_network,
    is_ir_backbone,
    published_shape,
)
from edgeproof.tasks.face_recognition import FaceRecognizer
from edgeproof.verify.importing import import_network

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed (extra `torch`)")

VARIANTS = [{}, {"squeeze": True}, {"normed": True}, {"affine": True}]


def _small(**variant: bool) -> dict[str, Any]:
    """Weights by chance, of 16 to 64 channels and five units, with statistics that matter."""
    torch.manual_seed(0)
    shape = published_shape((2, 1, 1, 1), (16, 32, 48, 64), dimensions=24, **variant)
    network = ir_network(torch, shape)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.3)
    weights: dict[str, Any] = network.state_dict()
    return weights


def _reference(weights: dict[str, Any], x: Any) -> Any:
    """The published network, written out step by step from the names of its weights."""
    f = torch.nn.functional

    def norm(name: str, x: Any) -> Any:
        given = [weights[f"{name}.{part}"] for part in ("running_mean", "running_var")]
        return f.batch_norm(x, *given, weights.get(f"{name}.weight"), weights.get(f"{name}.bias"))

    x = f.prelu(
        norm("input_layer.1", f.conv2d(x, weights["input_layer.0.weight"], padding=1)),
        weights["input_layer.2.weight"],
    )
    for unit in range(sum(name.endswith("res_layer.0.weight") for name in weights)):
        at = f"body.{unit}"
        names = [f"{at}.res_layer.{i}" for i in range(6)]
        first = weights[f"{names[1]}.weight"]
        stride = 2 if unit == 0 or first.shape[0] != first.shape[1] else 1
        y = f.conv2d(norm(names[0], x), first, padding=1)
        if f"{names[2]}.running_mean" in weights:
            y, names = norm(names[2], y), [*names[:2], *names[3:], f"{at}.res_layer.6"]
        y = f.conv2d(
            f.prelu(y, weights[f"{names[2]}.weight"]), weights[f"{names[3]}.weight"], stride=stride, padding=1
        )
        y = norm(names[4], y)
        if f"{names[-1]}.fc1.weight" in weights:
            squeezed = f.conv2d(f.adaptive_avg_pool2d(y, 1), weights[f"{names[-1]}.fc1.weight"])
            y = y * torch.sigmoid(f.conv2d(torch.relu(squeezed), weights[f"{names[-1]}.fc2.weight"]))
        if f"{at}.shortcut_layer.0.weight" in weights:
            x = norm(
                f"{at}.shortcut_layer.1", f.conv2d(x, weights[f"{at}.shortcut_layer.0.weight"], stride=stride)
            )
        else:
            x = x[:, :, ::stride, ::stride]
        x = x + y
    x = norm("output_layer.0", x).flatten(1)
    return norm(
        "output_layer.4", f.linear(x, weights["output_layer.3.weight"], weights["output_layer.3.bias"])
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_it_is_the_published_network(variant: dict[str, bool]) -> None:
    weights = _small(**variant)
    assert is_ir_backbone(weights)
    x = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        made = ir_backbone(torch, weights, "it")(x)
        assert made.shape == (2, 24)
        assert torch.allclose(made, _reference(weights, x), atol=1e-4, rtol=1e-3)


def test_its_weights_alone_are_imported_for_any_batch(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in _small().items()}}, tmp_path / "ir.pth"
    )
    result = import_network(tmp_path / "ir.pth", tmp_path / "ir.onnx")
    assert result.check.verdict == "ok", result.check.reason
    assert result.notes == ("An IR backbone, known by its weights: 5 units, 112 x 112 to 24.",)
    with open_engine(result.output) as engine:
        assert [str(spec) for spec in engine.inputs] == ["x float32[N, 3, 112, 112]"]
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    with FaceRecognizer(tmp_path / "ir.onnx") as recognizer, FaceRecognizer(tmp_path / "ir.pth") as direct:
        vectors = recognizer.embed(crops)
        assert vectors.shape == (3, 24)
        assert recognizer.embed(crops[:1]) == pytest.approx(vectors[:1], abs=1e-5)
        assert direct.embed(crops) == pytest.approx(vectors, abs=1e-5)


@pytest.mark.parametrize(("name", "millions", "units"), [("IR-50", 43.6, 24), ("IR-101", 65.2, 49)])
def test_the_large_ones_have_as_many_weights_as_the_papers_say(
    name: str, millions: float, units: int
) -> None:
    shape = published_shape(UNITS[name])
    assert (shape.side, len(shape.units)) == (112, units)
    with torch.device("meta"):
        network = ir_network(torch, shape)
    assert sum(value.numel() for value in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_weights_that_dont_fit_are_named() -> None:
    weights = _small()
    weights["body.1.res_layer.3.weight"] = torch.zeros(16, 16, 5, 5)
    with pytest.raises(ModelError, match=r"don't fit: .*body\.1\.res_layer\.3\.weight"):
        ir_backbone(torch, weights, "net.pth")
    del weights["output_layer.3.weight"]
    with pytest.raises(ModelError, match="don't fit"):
        ir_backbone(torch, weights, "net.pth")
