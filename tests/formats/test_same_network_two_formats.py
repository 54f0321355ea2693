"""Networks that were published in two formats: both forms see the same in photos."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeproof.engines import open_engine
from edgeproof.formats import read_network
from edgeproof.formats.onnx import save_model
from edgeproof.imaging.decode import decode
from edgeproof.imaging.find import find_photos
from edgeproof.imaging.resize import crop_square

Values = np.ndarray[Any, Any]

SIDE = 416
SURE = 0.4
# What lies just above it in one form may lie just below it in the other.
NEARLY_SURE = 0.35
SAME_OBJECT = 0.45


def letterboxed(path: Path) -> Values:
    """(1, 3, 416, 416), BGR of 0 to 255, grey at the right and below: what YOLOX takes."""
    with Image.open(path) as photo:
        scale = SIDE / max(photo.size)
        small = photo.convert("RGB").resize((round(photo.width * scale), round(photo.height * scale)))
    canvas = np.full((SIDE, SIDE, 3), 114, np.float32)
    canvas[: small.height, : small.width] = np.asarray(small)[..., ::-1]
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])


def yolox_boxes(output: Values) -> tuple[Values, Values, Values]:
    """Boxes (n, 4) in pixels of the input, scores and classes of (1, 3549, 85): offsets within cells of 8, 16, 32."""
    strides = [(8, SIDE // 8), (16, SIDE // 16), (32, SIDE // 32)]
    cells = np.array(
        [(x, y, stride) for stride, count in strides for y, x in product(range(count), repeat=2)]
    )
    places, stride = cells[:, :2], cells[:, 2:]
    centres = (output[0, :, :2] + places) * stride
    sizes = np.exp(output[0, :, 2:4]) * stride
    scores = output[0, :, 4:5] * output[0, :, 5:]
    return (
        np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1),
        scores.max(axis=1),
        scores.argmax(axis=1),
    )


def overlap(one: Values, many: Values) -> Values:
    """Intersection over union of a box with each of many."""
    inside = (np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])).clip(0).prod(axis=1)
    areas = (many[:, 2:] - many[:, :2]).prod(axis=1) + (one[2:] - one[:2]).prod()
    return np.asarray(inside / (areas - inside))


def detections(output: Values, least: float) -> tuple[Values, Values]:
    """The boxes and classes that are left of those with at least this score, the best of each object."""
    boxes, scores, classes = yolox_boxes(output)
    kept: list[int] = []
    for row in np.argsort(-scores):
        if scores[row] < least:
            break
        same = [other for other in kept if classes[other] == classes[row]]
        if not same or overlap(boxes[row], boxes[same]).max() < SAME_OBJECT:
            kept.append(row)
    return boxes[kept], classes[kept]


def has_all(wanted: tuple[Values, Values], found: tuple[Values, Values]) -> bool:
    """Whether each wanted detection is among those found: of the same class, at the same place."""
    boxes, classes = found
    return all((overlap(box, boxes)[classes == kind] > 0.9).any() for box, kind in zip(*wanted, strict=True))


def test_both_forms_of_yolox_detect_the_same(shared: Path) -> None:
    pytest.importorskip(
        "ai_edge_litert.interpreter", reason="needs ai-edge-litert, the runtime of .tflite files"
    )
    models = shared / "models"
    count = 0
    with (
        open_engine(models / "yolox-nano.onnx") as published,
        open_engine(models / "yolox-nano-fp16.tflite", engine="litert") as halves,
    ):
        for path in find_photos([shared / "data" / "coco"])[:12]:
            feeds = {"images": letterboxed(path)}
            (one,) = published.run(feeds).values()
            (other,) = halves.run(feeds).values()
            assert has_all(detections(one, SURE), detections(other, NEARLY_SURE)), path.name
            assert has_all(detections(other, SURE), detections(one, NEARLY_SURE)), path.name
            count += len(detections(one, SURE)[0])
    assert count >= 20, "they agree about too little to show anything"


# https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB: the sides in pixels of the boxes that each
# cell of a level begins with, and by how much the offsets count (vision/ssd/config/fd_config.py).
LEVELS = ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256)))
VARIANCES = (0.1, 0.2)
WIDTH, HEIGHT = 320, 240


def ultraface_boxes(offsets: Values) -> Values:
    """Corners (n, 4) as shares of the picture, of offsets (1, n, 4) from the prior boxes."""
    levels = [(-(-HEIGHT // stride), -(-WIDTH // stride), sides) for stride, sides in LEVELS]
    priors = np.array(
        [
            ((x + 0.5) / columns, (y + 0.5) / rows, side / WIDTH, side / HEIGHT)
            for rows, columns, sides in levels
            for y, x, side in product(range(rows), range(columns), sides)
        ]
    ).clip(0, 1)
    centres = priors[:, :2] + offsets[0, :, :2] * VARIANCES[0] * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp(offsets[0, :, 2:] * VARIANCES[1])
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def face_picture(path: Path) -> Values:
    """What UltraFace takes of a photo: (1, 3, 240, 320) RGB of about -1 to 1."""
    square = crop_square(decode(path, cover=WIDTH).pixels, WIDTH)
    top = (WIDTH - HEIGHT) // 2
    pixels = (square[top : top + HEIGHT].astype(np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def test_both_forms_of_ultraface_find_the_same_faces(shared: Path, tmp_path: Path) -> None:
    save_model(
        read_network(shared / "models" / "ultraface-rfb-320.caffemodel").model, tmp_path / "caffe.onnx"
    )
    faces = 0
    with (
        open_engine(shared / "models" / "ultraface-rfb-320.onnx") as published,
        open_engine(tmp_path / "caffe.onnx") as imported,
    ):
        for path in find_photos([shared / "data" / "facedet"])[:8]:
            image = face_picture(path)
            scores, boxes = map(np.float32, published.run({"input": image}).values())
            answer = imported.run({imported.inputs[0].name: image})
            np.testing.assert_allclose(np.float32(answer["scores"]), scores, atol=1e-4)
            np.testing.assert_allclose(ultraface_boxes(answer["boxes"]), boxes[0], atol=1e-3)
            faces += int((scores[0, :, 1] > 0.7).sum())
    assert faces >= 20, "they agree about too little to show anything"
