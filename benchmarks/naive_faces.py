"""The faces pipeline as it is mostly written first: one picture after the other, one face at a time, float32.

    python benchmarks/naive_faces.py YUNET.onnx RECOGNIZER.onnx FOLDER [TIMES]

Pillow reads, YuNet sees the picture at its full size, cv2 warps each face, and the recogniser runs once for each, in
ONNX Runtime with its default threads: what the article's code does. It prints one JSON line: {"images", "faces",
"seconds", "peak_mb"}; imports and reading the networks do not count in `seconds`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import cv2
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)


def main(detector: str, recognizer: str, folder: str, times: int = 1) -> dict[str, Any]:
    """Go through every picture of a folder."""
    find, tell = onnxruntime.InferenceSession(detector), onnxruntime.InferenceSession(recognizer)
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix == ".jpg") * times
    look(find, tell, paths[0])
    started, faces = time.perf_counter(), 0
    for path in paths:
        faces += len(look(find, tell, path))
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return {"images": len(paths), "faces": faces, "seconds": seconds, "peak_mb": peak * 1024 / 1e6}


def look(find: Any, tell: Any, path: Path) -> list[Any]:
    """The embeddings of one picture's faces."""
    pixels = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    name, embeddings = tell.get_inputs()[0].name, []
    for marks in detect(find, pixels):
        matrix, _ = cv2.estimateAffinePartial2D(marks, TEMPLATE, method=cv2.LMEDS)
        face = cv2.warpAffine(pixels, matrix, (112, 112)).astype(np.float32)
        vector = tell.run(None, {name: ((face - 127.5) / 127.5).transpose(2, 0, 1)[None]})[0][0]
        embeddings.append(vector / np.linalg.norm(vector))
    return embeddings


def detect(find: Any, pixels: Any) -> list[Any]:
    """Five landmarks (5, 2) of each face that YuNet finds at full size."""
    height, width = pixels.shape[:2]
    high, wide = -(-height // 32) * 32, -(-width // 32) * 32
    frame = np.zeros((high, wide, 3), np.float32)
    frame[:height, :width] = pixels[:, :, ::-1]
    names = [output.name for output in find.get_outputs()]
    answer = dict(
        zip(names, find.run(None, {find.get_inputs()[0].name: frame.transpose(2, 0, 1)[None]}), strict=True)
    )
    boxes, scores, marks = [], [], []
    for stride in (8, 16, 32):
        rows, columns = np.divmod(np.arange(high // stride * (wide // stride)), wide // stride)
        cell = np.stack([columns, rows], axis=1)
        score = np.sqrt(answer[f"cls_{stride}"][0, :, 0] * answer[f"obj_{stride}"][0, :, 0])
        box = answer[f"bbox_{stride}"][0]
        size = np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([(box[:, :2] + cell) * stride - size / 2, size], axis=1))
        marks.append((answer[f"kps_{stride}"][0].reshape(-1, 5, 2) + cell[:, None]) * stride)
        scores.append(score)
    box, score, mark = np.concatenate(boxes), np.concatenate(scores), np.concatenate(marks)
    kept = cv2.dnn.NMSBoxes(box.tolist(), score.tolist(), 0.7, 0.45)
    return [mark[index].astype(np.float32) for index in np.array(kept, int).reshape(-1)]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], int((sys.argv[4:5] or ["1"])[0]))))
