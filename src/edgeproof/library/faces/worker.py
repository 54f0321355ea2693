"""The measuring process of `faces benchmark`: one way to find and embed faces, run over blocks of pictures.

{"do": "open", "faces": {...}, "recognizer": {...}, "serial": BOOL, "threads": N, "mem_budget": BYTES}
{"do": "run", "photos": [PATH, ...]}
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeproof.core.errors import EdgeproofError, WorkerError
from edgeproof.library.faces.faces import Faces
from edgeproof.library.faces.stream import FacesStream, FrameFaces
from edgeproof.measure.memory import peak_mb
from edgeproof.measure.worker_loop import serve
from edgeproof.streams.batches import resident_bytes
from edgeproof.streams.sources import photo_frames
from edgeproof.tasks.face_recognition import FaceRecognizer


class _Measurer:
    def __init__(self) -> None:
        self._faces: Faces | None = None
        self._stream: FacesStream | None = None

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "open":
                return self._open(request)
            case "run":
                return self._run([Path(path) for path in request["photos"]])
            case other:
                raise WorkerError(f"Unknown request {other!r}.")

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        self._faces = Faces(recognizer=FaceRecognizer(**request["recognizer"]), **request["faces"]).open()
        if not request["serial"]:
            self._stream = FacesStream(
                self._faces, threads=request["threads"], memory_budget=request["mem_budget"]
            )
        return {"open_s": time.monotonic() - started}

    def _run(self, photos: list[Path]) -> dict[str, Any]:
        looked = self._stream.run(photo_frames(photos)) if self._stream else self._serially(photos)
        found, errors, steps = 0, 0, []
        started = before = time.perf_counter()
        for one in looked:
            found += len(one.faces)
            errors += one.error is not None
            now = time.perf_counter()
            steps.append(round((now - before) * 1e3, 4))
            before = now
        resident = resident_bytes()
        return {
            "seconds": before - started,
            "faces": found,
            "errors": errors,
            "per_image_ms": steps,
            "resident_mb": None if resident is None else resident / 1e6,
            "peak_mb": peak_mb(),
        }

    def _serially(self, photos: list[Path]) -> Iterator[FrameFaces]:
        """One picture after the other, one face at a time."""
        assert self._faces is not None
        for frame in photo_frames(photos):
            try:
                pixels = frame.pixels()
                cut = self._faces.cut(pixels, self._faces.detect(pixels), quality=False)
                for crop in cut.crops:
                    self._faces.recognizer.embed(crop[None])
                yield FrameFaces(frame, pixels.shape[1], pixels.shape[0], cut.faces(None))
            except EdgeproofError as error:
                yield FrameFaces(frame, 0, 0, [], error)


if __name__ == "__main__":
    serve(_Measurer().handle)
