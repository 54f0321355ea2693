"""How well and how fast faces are found, each network beside its publisher's own code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import face_references
from edgeproof.imaging.decode import decode
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.verify.average_precision import Found, curves
from photos import SHARED

Picture = NDArray[np.uint8]
Detect = Callable[[Picture], tuple[Any, Any]]

MODELS = SHARED / "models"
IMAGES = SHARED / "data" / "facedet"
LEAST = 0.02
# Label, file, what our detector is told, and the reference: the function of face_references and its file.
ROWS: tuple[tuple[str, str, dict[str, Any], tuple[str, str] | None], ...] = (
    ("YuNet (the default)", "yunet-n-dynamic.onnx", {}, ("yunet", "yunet-n-640.onnx")),
    ("YuNet, `--long-side 400`", "yunet-n-dynamic.onnx", {"long_side": 400}, None),
    ("YuNet, `--scales 1,0.5`", "yunet-n-dynamic.onnx", {"scales": (1.0, 0.5)}, None),
    ("YuNet 640x640", "yunet-n-640.onnx", {}, None),
    (
        "RetinaFace MobileNet0.25, 640x640",
        "retinaface-mobilenet025.pth",
        {},
        ("retinaface", "retinaface-mobilenet025.pth"),
    ),
    ("RetinaFace (Caffe, SSD), 640x640", "retinaface-wider.caffemodel", {}, None),
    ("UltraFace RFB, 320x240", "ultraface-rfb-320.onnx", {}, ("ultraface", "ultraface-rfb-320.onnx")),
    (
        "OpenCV's res10 SSD, 300x300",
        "opencv-face-detector-uint8.pb",
        {"engine": "opencv", "options": {"input_shape": "1x3x300x300"}},
        None,
    ),
)


def section() -> str:
    """One row for each network."""
    truth = json.loads((IMAGES / "boxes.json").read_text(encoding="utf-8"))
    pictures = {name: decode(IMAGES / "images" / name).pixels for name in truth}
    boxes = {name: np.array(rows, np.float32).reshape(-1, 4) for name, rows in truth.items()}
    faces = sum(map(len, boxes.values()))
    lines = [
        _row(label, file, options, reference, pictures, boxes) for label, file, options, reference in ROWS
    ]
    return "\n".join(
        [
            "## faces: detection",
            "",
            f"{len(pictures)} pictures of about 400 pixels with {faces} faces, many of them masked and small. AP50"
            " over all scores; recall and precision at the confidence that each has by default; median CPU ms a picture"
            " on one thread, decoding not counted. Its own code: OpenCV's FaceDetectorYN for YuNet, PyTorch for"
            " RetinaFace, the repository's script on ONNX Runtime for UltraFace, with the same weights.",
            "",
            "| detector | AP50 | AP50, its own code | recall | precision | ms |",
            "|---|---|---|---|---|---|",
            *lines,
        ]
    )


def _row(
    label: str,
    file: str,
    options: dict[str, Any],
    reference: tuple[str, str] | None,
    pictures: dict[str, Picture],
    boxes: dict[str, NDArray[np.float32]],
) -> str:
    theirs: Detect | None = None
    if reference:
        theirs = getattr(face_references, reference[0])(Path(MODELS / reference[1]))
    with FaceDetector(MODELS / file, confidence=LEAST, **options) as detector:
        usual = detector.open()[1].decoder.confidence

        def ours(pixels: Picture) -> tuple[Any, Any]:
            found = detector.detect(pixels)
            return found.boxes, found.scores

        found, others, spent = [], [], []
        for name, pixels in pictures.items():
            before = time.process_time()
            answer = ours(pixels)
            spent.append((time.process_time() - before) * 1e3)
            found.append(Found(*answer, boxes[name]))
            if theirs:
                others.append(Found(*theirs(pixels), boxes[name]))
    curve = curves(found)[0]
    precision, recall = curve.at(usual)
    other = f"{curves(others)[0].area():.3f}" if theirs else ""
    line = (
        f"| {label} | {curve.area():.3f} | {other} | {recall:.1%} | {(precision or 0):.1%} |"
        f" {np.median(spent):.1f} |"
    )
    print(line, file=sys.stderr, flush=True)
    return line


if __name__ == "__main__":
    print(section())
