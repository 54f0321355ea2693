"""Whole networks on photos, written as .tflite and held against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproof.formats import read_network
from edgeproof.formats.onnx import load_model
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.resize import crop_square
from edgeproof.tasks.orientation import builtin_model

# File, what a pixel of 0 to 255 is multiplied with and what is then added.
NETWORKS = [
    ("models/yolox-nano.onnx", 1.0, 0.0),
    ("models/yunet-n-640.onnx", 1.0, 0.0),
    ("models/ultraface-rfb-320.onnx", 1 / 128, -127 / 128),
    ("models/mobilefacenet-foamliu.onnx", 1 / 128, -127.5 / 128),
    ("models/fastestdet.onnx", 1 / 255, 0.0),
    ("models/yolov8n-topology.onnx", 1 / 255, 0.0),
    ("models/yolo11n-topology.onnx", 1 / 255, 0.0),
    ("models/yolo26n-topology.onnx", 1 / 255, 0.0),
    ("weights/attributes.onnx", 1.0, 0.0),
]


def pictures(folder, count, height, width):
    side = max(height, width)
    photos = find_photos([folder / "data" / "coco"])[:count]
    squares = [crop_square(decode(photo, cover=side).pixels, side)[:height, :width] for photo in photos]
    return np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32)


def input_of(model):
    stored = {tensor.name for tensor in model.graph.initializer}
    entry = next(entry for entry in model.graph.input if entry.name not in stored)
    return entry.name, [size.dim_value for size in entry.type.tensor_type.shape.dim]


@pytest.mark.parametrize(("file", "scale", "shift"), NETWORKS, ids=[row[0].split("/")[1] for row in NETWORKS])
def test_a_network_sees_the_same_in_photos(agree, shared, file, scale, shift):
    model = load_model(shared / file)
    name, (batch, _, height, width) = input_of(model)
    x = pictures(shared, batch or 2, height, width) * np.float32(scale) + np.float32(shift)
    written = agree(model, {name: x}, most=1e-3)
    assert any("NCHW" in note for note in written.notes)
    # One TRANSPOSE for the picture; the others are where ONNX's own order of numbers shows.
    assert written.kinds["TRANSPOSE"] <= 12


def test_a_free_batch_stays_free(agree, shared):
    model = load_model(builtin_model())
    for count in (1, 2, 5):
        written = agree(model, {"input": pictures(shared, count, 192, 192)}, most=1e-4)
        assert not any("batch" in note for note in written.notes)
        assert written.kinds["TRANSPOSE"] == 1


def test_our_own_importer_reads_it_back(agree, shared, graphs):
    model = load_model(builtin_model())
    written = agree(model, {"input": pictures(shared, 1, 192, 192)}, most=1e-4)
    back = read_network(written.path).model
    assert [entry.name for entry in back.graph.input] == ["input"]
    assert [entry.name for entry in back.graph.output] == ["logits"]
    x = pictures(shared, 1, 192, 192)
    first, second = (_run(each, x) for each in (model, back))
    assert np.abs(first - second).max() <= 1e-4 * np.abs(first).max()


def _run(model, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"input": x})[0]
