"""RetinaFace from its weights: as published, the converted copy, and the other body; and it finds faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.core.pytorch.weights import load_weights
from edgeproof.engines import open_engine
from edgeproof.formats.pytorch.retinaface import is_retinaface, retinaface
from edgeproof.imaging.decode import decode
from edgeproof.verify.importing import import_network

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed (extra `torch`)")

PHOTOS = 12
# What the published weights were trained with: (stride, sides of its two anchors), variances, BGR mean.
LEVELS = ((8, (10, 20)), (16, (32, 64)), (32, (128, 256)))
VARIANCES = (0.1, 0.2)
MEAN = np.array([104, 117, 123], np.float32)


def anchors(side: int) -> np.ndarray[Any, Any]:
    """(anchors, 4): centre x, centre y, width, height, in pixels."""
    return np.array(
        [
            ((x + 0.5) * stride, (y + 0.5) * stride, size, size)
            for stride, sizes in LEVELS
            for y, x, size in product(range(side // stride), range(side // stride), sizes)
        ]
    )


def boxes(offsets: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    places = anchors(side)
    centres = places[:, :2] + offsets[:, :2] * VARIANCES[0] * places[:, 2:]
    sizes = places[:, 2:] * np.exp(offsets[:, 2:] * VARIANCES[1])
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def overlap(one: np.ndarray[Any, Any], many: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Intersection over union of a box with each of many."""
    inside = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])
    shared = inside.clip(0).prod(axis=1)
    return shared / ((one[2:] - one[:2]).prod() + (many[:, 2:] - many[:, :2]).prod(axis=1) - shared)


def photos(shared: Path, side: int) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """What the network takes of some photos, twice as large as they are, and their faces in its pixels."""
    folder = shared / "data" / "facedet"
    labels = json.loads((folder / "boxes.json").read_text())
    for name in sorted(labels)[:PHOTOS]:
        pixels = decode(folder / "images" / name).pixels.repeat(2, axis=0).repeat(2, axis=1)
        pixels = pixels[:side, :side, ::-1].astype(np.float32) - MEAN
        canvas = np.zeros((side, side, 3), np.float32)
        canvas[: len(pixels), : pixels.shape[1]] = pixels
        faces = 2 * np.array(labels[name], np.float32)
        whole = (faces[:, 2] < side) & (faces[:, 3] < side)
        yield np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]), faces[whole]


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    path = shared / "models" / "retinaface-mobilenet025.pth"
    if not path.exists():
        pytest.skip(f"needs the published weights, not found at {path}")
    return path


@pytest.fixture(scope="module")
def imported(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("retinaface") / "net.onnx"
    result = import_network(published, out)
    assert result.check.verdict == "ok", result.check.reason
    assert result.notes == ("RetinaFace, known by its weights: MobileNet0.25 body, 64 channels, ReLU.",)
    return result.output


def test_the_copy_has_the_original_outputs(imported: Path) -> None:
    with open_engine(imported) as engine:
        assert [str(spec) for spec in engine.inputs] == ["input float32[1, 3, 640, 640]"]
        shapes = {spec.name: spec.shape for spec in engine.outputs}
    assert shapes == {"bbox": (1, 16800, 4), "confidence": (1, 16800, 2), "landmark": (1, 16800, 10)}


def test_it_finds_the_faces_of_photos(imported: Path, published: Path, shared: Path) -> None:
    weights = load_weights(torch, published, None)
    network = retinaface(torch, weights, "it")
    found = labelled = 0
    with open_engine(imported) as engine:
        for tensor, faces in photos(shared, 640):
            answer = {name: values[0] for name, values in engine.run({"input": tensor}).items()}
            with torch.inference_mode():
                wanted = {
                    name: values[0].numpy() for name, values in network(torch.from_numpy(tensor)).items()
                }
            for name, values in answer.items():
                assert np.abs(values - wanted[name]).max() <= 1e-4 * np.abs(wanted[name]).max()
            sure = answer["confidence"][:, 1] > 0.5
            proposals = boxes(answer["bbox"], 640)[sure]
            labelled += len(faces)
            found += sum(bool((overlap(face, proposals) > 0.5).any()) for face in faces)
    assert labelled >= 30
    assert found / labelled > 0.6, f"{found} of {labelled}"


def test_the_other_body_is_known_by_its_weights(published: Path) -> None:
    module = import_module("edgeproof.formats.pytorch.retinaface")
    torch.manual_seed(0)
    network = module._network(torch, module._resnet50(torch), [512, 1024, 2048], 256, 0.0)
    weights = network.state_dict()
    # As in torchvision's ResNet-50, whose names the published file has.
    assert weights["body.layer3.5.conv3.weight"].shape == (1024, 256, 1, 1)
    assert weights["body.layer4.0.downsample.0.weight"].shape == (2048, 1024, 1, 1)
    assert is_retinaface(weights)
    again = retinaface(torch, weights, "it")
    with torch.inference_mode():
        answer = again(torch.zeros(1, 3, 64, 64))
    assert {name: tuple(values.shape) for name, values in answer.items()} == {
        "bbox": (1, 168, 4),
        "confidence": (1, 168, 2),
        "landmark": (1, 168, 10),
    }


def test_weights_that_dont_fit_are_named(published: Path) -> None:
    weights = dict(load_weights(torch, published, None))
    weights["ssh2.conv5X5_1.0.weight"] = torch.zeros(1, 64, 3, 3)
    with pytest.raises(ModelError, match=r"its weights don't fit: .*ssh2\.conv5X5_1\.0\.weight"):
        retinaface(torch, weights, "net.pth")
    del weights["fpn.output3.0.weight"]
    with pytest.raises(ModelError, match="no whole pyramid"):
        retinaface(torch, weights, "net.pth")
