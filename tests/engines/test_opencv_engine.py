"""What is OpenCV's own: Caffe and TensorFlow files, shapes given by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError, UnknownNameError, UsageError
from edgeproof.core.tensor import Array
from edgeproof.engines import open_engine
from edgeproof.tasks.orientation import builtin_model
from engines.networks import MAKERS, rows, skip_if_missing

FACES = "opencv-face-detector-uint8.pb"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> None:
    skip_if_missing("opencv", tmp_path)


def _agree(found: dict[str, Array], expected: dict[str, Array]) -> None:
    for key, array in expected.items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(found[key] / scale, array / scale, atol=1e-3)


@pytest.mark.parametrize("name", ["yolox-nano.onnx", "ultraface-rfb-320.onnx", "orientation"])
def test_it_agrees_with_onnxruntime(shared: Path, name: str) -> None:
    file = builtin_model() if name == "orientation" else shared / "models" / name
    with open_engine(file) as reference, open_engine(file, engine="opencv") as opened:
        assert (opened.inputs, opened.outputs) == (reference.inputs, reference.outputs)
        feeds = {spec.name: rows(spec, 2) for spec in reference.inputs}
        _agree(opened.run(feeds), reference.run(feeds))


@pytest.mark.parametrize("suffix", [".caffemodel", ".prototxt"])
def test_a_caffe_network_answers_as_the_same_network_in_onnx_does(shared: Path, suffix: str) -> None:
    stem = shared / "models" / "ultraface-rfb-320"
    with (
        open_engine(stem.with_suffix(".onnx")) as reference,
        open_engine(stem.with_suffix(suffix), engine="opencv") as opened,
    ):
        assert opened.inputs == reference.inputs
        feeds = {"input": rows(opened.inputs[0], 1) / np.float32(200)}
        # The Caffe file leaves the boxes as offsets from its priors; the ONNX file decodes them.
        _agree(opened.run(feeds), {"scores": reference.run(feeds)["scores"]})


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("retinaface-wider.caffemodel", "", "data float32[1, 3, 640, 640]"),
        ("retinaface-wider.caffemodel", "1x3x320x320", "data float32[1, 3, 320, 320]"),
        (FACES, "1x3x300x300", "data float32[1, 3, 300, 300]"),
        (FACES, "data=1x3x160x200", "data float32[1, 3, 160, 200]"),
    ],
)
def test_detectors_give_as_many_rows_as_they_find(shared: Path, name: str, shape: str, told: str) -> None:
    with open_engine(shared / "models" / name, engine="opencv", options={"input_shape": shape}) as opened:
        assert [str(spec) for spec in opened.inputs] == [told]
        assert [str(spec) for spec in opened.outputs] == ["detection_out float32[1, 1, detections, 7]"]
        answer = opened.run({"data": rows(opened.inputs[0], 1)})["detection_out"]
        assert answer.shape[:2] + answer.shape[3:] == (1, 1, 7)


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ("", ModelError),
        ("Nx3xNx300", UsageError),
        ("1x3x300", ModelError),
        ("image=1x3x300x300", UnknownNameError),
        ("1x3x99999x99999", ModelError),
    ],
)
def test_a_shape_that_is_missing_or_wrong(shared: Path, shape: str, error: type[EdgeproofError]) -> None:
    with pytest.raises(error):
        open_engine(shared / "models" / FACES, engine="opencv", options={"input_shape": shape})


_LAYER = """
layer { name: "y" type: "Power" bottom: "data" top: "y" power_param { scale: 2 } }  # input: "z"
"""


@pytest.mark.parametrize(
    "head",
    [
        'input: "data"\ninput_dim: 1 input_dim: 2\ninput_dim: 3\ninput_dim: 4\n',
        'input: "data"\ninput_shape { dim: 1 dim: 2 dim: 3 dim: 4 }\n',
        'layer { name: "in" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 2 dim: 3 dim: 4 } } }\n',
        'layer {\n top: "data"\n type: "Input"\n name: "in"\n input_param {\n shape {dim:1 dim:2 dim:3 dim:4}}}\n',
    ],
)
def test_each_way_that_a_prototxt_tells_its_input(shared: Path, tmp_path: Path, head: str) -> None:
    (tmp_path / "n.prototxt").write_text('name: "n"\n' + head + _LAYER)
    # Any weights do: layers that the text doesn't name are passed over.
    shutil.copy(shared / "models" / "ultraface-rfb-320.caffemodel", tmp_path / "n.caffemodel")
    with open_engine(tmp_path / "n.prototxt", engine="opencv") as opened:
        assert [str(spec) for spec in opened.inputs] == ["data float32[1, 2, 3, 4]"]
        feed = rows(opened.inputs[0], 1)
        np.testing.assert_array_equal(opened.run({"data": feed})["y"], 2 * feed)


def test_half_of_a_caffe_pair_is_named(shared: Path, tmp_path: Path) -> None:
    shutil.copy(shared / "models" / "ultraface-rfb-320.caffemodel", tmp_path / "n.caffemodel")
    with pytest.raises(NotFoundError, match=r"n\.prototxt"):
        open_engine(tmp_path / "n.caffemodel", engine="opencv")


@pytest.mark.parametrize("suffix", [".caffemodel", ".pb"])
def test_broken_weights_are_a_model_error(shared: Path, tmp_path: Path, suffix: str) -> None:
    shutil.copy(shared / "models" / "ultraface-rfb-320.prototxt", tmp_path / "n.prototxt")
    (tmp_path / f"n{suffix}").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError):
        open_engine(tmp_path / f"n{suffix}", engine="opencv")


def test_inputs_that_are_no_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'x' .* uint8"):
        open_engine(MAKERS["onnxruntime"](tmp_path, "bytes"), engine="opencv")
