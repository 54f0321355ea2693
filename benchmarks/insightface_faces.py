"""The same folder through the insightface package, for benchmarks/faces_speed.py to start with its own Python.

    python benchmarks/insightface_faces.py MODELS FOLDER [TIMES]

MODELS holds a detector of SCRFD's form and a recogniser, as .onnx files; the package finds out which is which. It
prints one JSON line: {"images", "faces", "seconds", "peak_mb", "version"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import cv2
import insightface
from insightface.app.common import Face
from insightface.model_zoo import get_model


def main(models: str, folder: str, times: int = 1) -> dict[str, object]:
    """Go through every picture of a folder."""
    detector = get_model(str(Path(models) / "det_scrfd.onnx"), providers=["CPUExecutionProvider"])
    recognizer = get_model(str(Path(models) / "rec.onnx"), providers=["CPUExecutionProvider"])
    detector.prepare(ctx_id=-1, input_size=(640, 640), det_thresh=0.5)
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix == ".jpg") * times

    def look(path: Path) -> int:
        image = cv2.imread(str(path))
        boxes, marks = detector.detect(image)
        for box, mark in zip(boxes, marks, strict=True):
            recognizer.get(image, Face(bbox=box[:4], kps=mark, det_score=box[4]))
        return len(boxes)

    look(paths[0])
    started = time.perf_counter()
    faces = sum(look(path) for path in paths)
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return {
        "images": len(paths),
        "faces": faces,
        "seconds": seconds,
        "peak_mb": peak * 1024 / 1e6,
        "version": insightface.__version__,
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        answer = main(sys.argv[1], sys.argv[2], int((sys.argv[3:4] or ["1"])[0]))
    print(json.dumps(answer))
