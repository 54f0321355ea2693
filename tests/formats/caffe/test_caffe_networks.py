"""Published Caffe networks give what OpenCV's own run of them gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import ModelError
from edgeproof.formats import read_network
from edgeproof.formats.caffe import read
from edgeproof.formats.onnx import load_model
from edgeproof.optimize.simplify import simplify


def _faces(shared: Path, count: int = 4) -> list[Path]:
    return sorted((shared / "data" / "facedet" / "images").glob("*.jpg"))[:count]


def _tensor(path: Path, size: tuple[int, int], mean: Any, scale: float) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((size[1], size[0])), np.float32)[:, :, ::-1]
    return np.ascontiguousarray(
        ((pixels - np.asarray(mean, np.float32)) * scale).transpose(2, 0, 1)[None], np.float32
    )


def _opencv(path: Path, x: Any) -> dict[str, Any]:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is what the networks are compared with")
    net = cv2.dnn.readNetFromCaffe(str(path.with_suffix(".prototxt")), str(path.with_suffix(".caffemodel")))
    net.setInput(x)
    names = net.getUnconnectedOutLayersNames()
    return dict(zip(names, net.forward(names), strict=True))


def test_retinaface_gives_the_rows_of_opencv(shared: Path, caffe: Any) -> None:
    path = shared / "models" / "retinaface-wider.caffemodel"
    imported = read_network(path)
    rows = 0
    for face in _faces(shared):
        x = _tensor(face, (640, 640), (104, 117, 123), 1.0)
        ours = caffe.run(imported.model, x)["detection_out"]
        theirs = _opencv(path, x)["detection_out"]
        theirs = theirs[:, :, theirs[0, 0, :, 2] > 0]  # OpenCV fills up to keep_top_k with zeros
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        rows += ours.shape[2]
    assert rows


def test_ultraface_equals_opencv_and_its_published_onnx(shared: Path, caffe: Any) -> None:
    path = shared / "models" / "ultraface-rfb-320.prototxt"
    imported = read(path)
    published = load_model(path.with_suffix(".onnx"))
    simple = simplify(imported.model)
    for face in _faces(shared, 2):
        x = _tensor(face, (240, 320), (127, 127, 127), 1 / 128)
        ours = caffe.run(imported.model, x)
        for name, value in _opencv(path, x).items():
            np.testing.assert_allclose(ours[name], value, atol=1e-4)
        theirs = caffe.run(published, x)
        np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-4)
        for name, value in caffe.run(getattr(simple, "model", simple), x).items():
            np.testing.assert_allclose(value, ours[name], atol=1e-4)
    assert imported.notes == ()
    assert imported.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.parametrize(("name", "classes"), [("age", 8), ("gender", 2)])
def test_a_topology_runs_with_seeded_weights(shared: Path, caffe: Any, name: str, classes: int) -> None:
    path = shared / "models" / f"levi-hassner-{name}.prototxt"
    with pytest.raises(ModelError, match="no weights"):
        read(path)
    imported = read(path, seed=1)
    assert "seed 1" in imported.notes[0]
    x = np.random.default_rng(0).standard_normal((2, 3, 227, 227)).astype(np.float32)
    (probabilities,) = caffe.run(imported.model, x).values()
    assert probabilities.shape == (2, classes)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert imported.model == read(path, seed=1).model
    assert imported.model != read(path, seed=2).model


def test_seeded_levi_hassner_equals_opencv(shared: Path, caffe: Any) -> None:
    from onnx.numpy_helper import to_array

    imported = read(shared / "models" / "levi-hassner-age.prototxt", seed=1)
    stored = {entry.name: to_array(entry) for entry in imported.model.graph.initializer}
    names = [name.removesuffix("/weight") for name in stored if name.endswith("/weight")]
    weights = {name: [stored[f"{name}/weight"], stored[f"{name}/bias"]] for name in names}
    text = (shared / "models" / "levi-hassner-age.prototxt").read_text()
    path = caffe.write(text, caffe.model(weights, form="v1"))
    x = np.random.default_rng(0).standard_normal((1, 3, 227, 227)).astype(np.float32)
    (ours,) = caffe.run(read(path).model, x).values()
    (again,) = caffe.run(imported.model, x).values()
    np.testing.assert_array_equal(ours, again)
    (theirs,) = _opencv(path, x).values()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        "min_size: 4 aspect_ratio: 2 clip: true",
        "min_size: 4 max_size: 8 aspect_ratio: 2 aspect_ratio: 3 flip: false clip: false",
        "min_size: 4 min_size: 6 max_size: 8 max_size: 9 aspect_ratio: 2 offset: 0.3 step: 3 clip: false",
        "min_size: 3.5 step_w: 5 step_h: 4 clip: false",
    ],
)
def test_prior_boxes_equal_opencv(caffe: Any, settings: str) -> None:
    text = (
        'input: "x" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 20\n'
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 4 stride: 4 } }\n'
        f'layer {{ name: "q" type: "PriorBox" bottom: "p" bottom: "x" top: "q" prior_box_param {{ {settings} '
        "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.3 } }"
    )
    path = caffe.write(text, caffe.model({"p": []}))
    x = np.zeros((1, 3, 16, 20), np.float32)
    (ours,) = caffe.run(read(path).model, x).values()
    (theirs,) = _opencv(path, x).values()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("keep", [12, 3, 200])
def test_several_classes_of_detections_equal_opencv(caffe: Any, keep: int) -> None:
    text = caffe.small.replace("keep_top_k: 12", f"keep_top_k: {keep}")
    path = caffe.write(text, caffe.model(caffe.values(caffe.small_shapes)))
    model = read(path).model
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((1, 3, 16, 16)).astype(np.float32) * 2
        (ours,) = caffe.run(model, x).values()
        (theirs,) = _opencv(path, x).values()
        theirs = theirs[:, :, theirs[0, 0, :, 2] > 0]
        assert 0 < ours.shape[2] <= keep
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
