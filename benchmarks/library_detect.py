"""A program that finds the objects of a folder, for the benchmarks to start in a process of its own.

    python benchmarks/library_detect.py STARTED FOLDER JSON

STARTED: time.time() when it was started. JSON: {"model", "engine", "options", "threads", "workers", "times"}. It prints
one JSON line: {"images", "objects", "seconds", "first_s", "peak_mb"}; `first_s` is from the start to the first
picture's answer, and `seconds` is for all that follow a warm-up.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from edgeproof.core.allocator import return_large_blocks
from edgeproof.library.detect.detector import Detector
from edgeproof.measure.memory import peak_mb
from edgeproof.streams.sources import frames


def main(began: float, folder: str, wish: dict[str, Any]) -> dict[str, Any]:
    """Run it as wished."""
    return_large_blocks()
    paths = [frame.path for frame in frames(folder) if frame.path]
    with Detector(
        wish["model"],
        engine=wish.get("engine", "onnxruntime"),
        options=wish.get("options"),
        threads=wish.get("threads", 1),
    ) as detector:
        detector(paths[0])
        first = time.time() - began
        list(detector.stream(folder, workers=wish.get("workers", 1), limit=4))
        images = objects = 0
        started = time.perf_counter()
        for _ in range(wish.get("times", 1)):
            for report in detector.stream(folder, workers=wish.get("workers", 1)):
                images, objects = images + 1, objects + len(report.detections)
        seconds = time.perf_counter() - started
    return {"images": images, "objects": objects, "seconds": seconds, "first_s": first, "peak_mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))))
