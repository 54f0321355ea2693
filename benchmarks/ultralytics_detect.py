"""The same folder through the ultralytics package, for benchmarks/detect_speed.py to start with its own Python.

    python benchmarks/ultralytics_detect.py STARTED MODEL FOLDER [TIMES]

It prints one JSON line: {"images", "objects", "seconds", "first_s", "peak_mb", "version"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import ultralytics


def main(began: float, model: str, folder: str, times: int = 1) -> dict[str, object]:
    """Go through every picture of a folder, `times` times."""
    network = ultralytics.YOLO(model, task="detect")
    paths = sorted(str(path) for path in Path(folder).rglob("*.jpg"))

    def look(path: str) -> int:
        (found,) = network.predict(path, device="cpu", conf=0.25, iou=0.7, imgsz=640, verbose=False)
        return len(found.boxes)

    look(paths[0])
    first = time.time() - began
    for path in paths[:4]:
        look(path)
    started = time.perf_counter()
    objects = sum(look(path) for path in paths * times)
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return {
        "images": len(paths) * times,
        "objects": objects,
        "seconds": seconds,
        "first_s": first,
        "peak_mb": peak * 1024 / 1e6,
        "version": ultralytics.__version__,
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        answer = main(float(sys.argv[1]), sys.argv[2], sys.argv[3], int((sys.argv[4:5] or ["1"])[0]))
    print(json.dumps(answer))
