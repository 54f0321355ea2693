"""Published networks, on photographs: as their own runtime computes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgeproof.formats import read_network


def _photos(shared: Path, count: int) -> list[Image.Image]:
    files = sorted((shared / "data" / "coco" / "images").glob("*.jpg"))[:count]
    return [Image.open(file).convert("RGB") for file in files]


def _letterboxed(photo: Image.Image) -> Any:
    """416 x 416, BGR, 0 to 255, grey at the right and below, NCHW: what YOLOX takes."""
    scale = 416 / max(photo.size)
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
    canvas = np.full((416, 416, 3), 114, np.float32)
    canvas[: small.height, : small.width] = np.asarray(small)[..., ::-1]
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])


def _best(output: Any, count: int) -> list[tuple[int, float]]:
    """The class and score of the best rows."""
    scores = output[0, :, 4:5] * output[0, :, 5:]
    rows = scores.max(axis=1).argsort()[::-1][:count]
    return [(int(scores[row].argmax()), float(scores[row].max())) for row in rows]


def test_yolox_of_half_weights(shared: Path, litert_session: Any, onnx_session: Any) -> None:
    file = shared / "models" / "yolox-nano-fp16.tflite"
    model = read_network(file).model
    # 218 TRANSPOSE operators stand in the file.
    assert Counter(node.op_type for node in model.graph.node)["Transpose"] <= 1
    ours, theirs = onnx_session(model), litert_session(file)
    import onnx

    published = onnx_session(onnx.load(shared / "models" / "yolox-nano.onnx"))
    for photo in _photos(shared, 2):
        image = _letterboxed(photo)
        (mine,) = ours.run(None, {ours.get_inputs()[0].name: image})
        (wanted,) = theirs([image])
        assert np.abs(mine - wanted).max() <= 1e-3 * np.abs(wanted).max()
        (other,) = published.run(None, {published.get_inputs()[0].name: image})
        for (kind, score), (kind_there, score_there) in zip(_best(mine, 5), _best(other, 5), strict=True):
            assert kind == kind_there
            assert abs(score - score_there) < 0.01


def test_mobilenet_of_8_bits(shared: Path, litert_session: Any, onnx_session: Any) -> None:
    """Against LiteRT's XNNPACK kernels, which round as ONNX does; its older ones round ties up."""
    file = shared / "models" / "mobilenet-v2-224-quant.tflite"
    model = read_network(file).model
    ours, theirs = onnx_session(model), litert_session(file)
    agreed, steps = 0, []
    for photo in _photos(shared, 50):
        whole = np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR))[None]
        real = (whole.astype(np.float32) - 128) * np.float32(0.0078125)
        mine = np.rint(ours.run(None, {"input": real})[0] * 256)
        (wanted,) = theirs([whole])
        agreed += int(mine.argmax() == wanted.argmax())
        steps.append(float(np.abs(mine - wanted).max()))
    assert agreed >= 49
    assert np.percentile(steps, 90) <= 2
