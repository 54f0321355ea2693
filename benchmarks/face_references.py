"""Face detectors as their own publishers run them: what ours are compared with. Nothing of edgeproof decodes here.

Each takes a picture, uint8 (H, W, 3) RGB, and gives boxes float32 (N, 4), xyxy, and scores float32 (N,), all that have
a score of 0.02 or more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Reference = Callable[[NDArray[np.uint8]], tuple[Floats, Floats]]
_LEAST = 0.02


def yunet(file: Path, overlap: float = 0.5, enlarge: float = 2.0, long_side: int = 960) -> Reference:
    """OpenCV's FaceDetectorYN, on the file of fixed size (it can't read the other, and takes any size from this)."""
    import cv2  # noqa: PLC0415 - the three need different libraries

    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(str(file), "", (640, 640), _LEAST, overlap, 5000)

    def detect(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        high, wide = pixels.shape[:2]
        scale = min(enlarge, long_side / max(high, wide))
        seen = cv2.resize(pixels[:, :, ::-1], (round(wide * scale), round(high * scale)))
        detector.setInputSize((seen.shape[1], seen.shape[0]))
        rows = detector.detect(seen)[1]
        table = np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
        corners = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1) / scale
        return _cut(corners, wide, high), table[:, 14]

    return detect


def ultraface(file: Path) -> Reference:
    """As run_video_face_detect_onnx.py of its repository: stretched to 320x240, hard suppression at 0.3."""
    import cv2  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def detect(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        high, wide = pixels.shape[:2]
        seen = (cv2.resize(pixels, (320, 240)).astype(np.float32) - 127) / 128
        scores, boxes = session.run(["scores", "boxes"], {"input": seen.transpose(2, 0, 1)[None]})
        faces = scores[0, :, 1]
        chosen = faces >= _LEAST
        corners = boxes[0][chosen] * np.array([wide, high] * 2, np.float32)
        found, kept = _suppressed(corners, faces[chosen], 0.3)
        return _cut(found, wide, high), kept

    return detect


def retinaface(file: Path, side: int = 640) -> Reference:
    """The loops of github.com/biubug6/Face-Detector-1MB-with-landmark in PyTorch, the picture in a square's corner."""
    import cv2  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from edgeproof.formats.pytorch.retinaface import retinaface as rebuilt  # noqa: PLC0415

    torch.set_num_threads(1)
    weights = torch.load(file, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("module."): value for name, value in weights.items()}
    network: Any = rebuilt(torch, weights, str(file))
    anchors = np.array(
        [
            (stride * (x + 0.5), stride * (y + 0.5), size)
            for stride, sizes in ((8, (10, 20)), (16, (32, 64)), (32, (128, 256)))
            for y, x in itertools.product(range(math.ceil(side / stride)), repeat=2)
            for size in sizes
        ],
        np.float32,
    )

    def detect(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        high, wide = pixels.shape[:2]
        scale = side / max(high, wide)
        small = cv2.resize(pixels[:, :, ::-1], (round(wide * scale), round(high * scale))).astype(np.float32)
        frame = np.zeros((side, side, 3), np.float32)
        frame[: small.shape[0], : small.shape[1]] = small - np.array([104, 117, 123], np.float32)
        with torch.inference_mode():
            answer = network(torch.from_numpy(frame.transpose(2, 0, 1)[None].copy()))
        offsets = answer["bbox"][0].numpy()
        faces = answer["confidence"][0, :, 1].numpy()
        chosen = faces >= _LEAST
        near, moved = anchors[chosen], offsets[chosen]
        middle = near[:, :2] + moved[:, :2] * 0.1 * near[:, 2:]
        sides = near[:, 2:] * np.exp(moved[:, 2:] * 0.2)
        corners = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1) / scale
        found, kept = _suppressed(corners, faces[chosen], 0.4)
        return _cut(found, wide, high), kept

    return detect


def _suppressed(boxes: Floats, scores: Floats, overlap: float) -> tuple[Floats, Floats]:
    """The greedy loop, one box after the other."""
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = order[shared / (areas[best] + areas[order] - shared) <= overlap]
    return boxes[kept], scores[kept]


def _cut(boxes: Floats, wide: int, high: int) -> Floats:
    """The boxes within the picture."""
    inside: Floats = np.clip(boxes, 0, np.array([wide, high] * 2)).astype(np.float32)
    return inside
