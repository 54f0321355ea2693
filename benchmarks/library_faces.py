"""A program that runs the faces pipeline over a folder, for the benchmarks to start in a process of its own.

    python benchmarks/library_faces.py FOLDER JSON

JSON: {"detector", "recognizer", "engine", "options", "long_side", "threads", "engine_threads", "mem_budget", "limit",
"times", "serial"}. It prints one JSON line: {"images", "faces", "seconds", "per_image_ms", "resident_mb", "peak_mb"};
reading the networks does not count in `seconds`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from edgeproof.core.allocator import return_large_blocks
from edgeproof.library.faces.faces import Faces
from edgeproof.library.faces.stream import FacesStream, FrameFaces
from edgeproof.measure.memory import peak_mb
from edgeproof.streams.batches import resident_bytes
from edgeproof.streams.sources import frames, photo_frames
from edgeproof.tasks.face_recognition import FaceRecognizer

SAMPLES = 100  # of resident memory along the way


def main(folder: str, wish: dict[str, Any]) -> dict[str, Any]:
    """Run it as wished."""
    return_large_blocks()
    inside = wish.get("engine_threads", 1)
    recognizer = FaceRecognizer(
        wish.get("recognizer"),
        engine=wish.get("engine", "onnxruntime"),
        options=wish.get("options"),
        threads=inside,
    )
    photos = [frame.path for frame in frames(folder) if frame.path]
    photos = list(islice(photos * wish.get("times", 1), wish.get("limit", 10**9)))
    with Faces(wish.get("detector"), recognizer, long_side=wish.get("long_side"), threads=inside) as faces:
        stream = FacesStream(faces.open(), threads=wish.get("threads"), memory_budget=wish.get("mem_budget"))
        list(stream.run(photo_frames(photos[:8])))
        looked = _serially(photos, faces) if wish.get("serial") else stream.run(photo_frames(photos))
        every, found, resident, steps = max(1, len(photos) // SAMPLES), 0, [], []
        started = before = time.perf_counter()
        for number, one in enumerate(looked, start=1):
            found += len(one.faces)
            now = time.perf_counter()
            steps.append((now - before) * 1e3)
            before = now
            if number % every == 0:
                resident.append((resident_bytes() or 0) / 1e6)
        seconds = time.perf_counter() - started
    return {
        "images": len(photos),
        "faces": found,
        "seconds": seconds,
        "per_image_ms": sorted(steps)[len(steps) // 2],
        "resident_mb": resident,
        "peak_mb": peak_mb(),
    }


def _serially(photos: list[Path], faces: Faces) -> Iterator[FrameFaces]:
    for frame in photo_frames(photos):
        yield FrameFaces(frame, 0, 0, faces.get(frame.pixels(), quality=False))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
