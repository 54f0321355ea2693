"""Finds the faces of a picture."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from edgeproof.core.errors import UsageError
from edgeproof.core.faces import FaceDetections
from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine, Pixels
from edgeproof.tasks.face_detection.decoder import Candidates
from edgeproof.tasks.face_detection.open import Wish, open_detector
from edgeproof.tasks.face_detection.task import LONG_SIDE, FaceDetectionTask, Framed, merged

_MOST_SCALE = 4.0


class FaceDetector:
    """Finds faces: `FaceDetector().detect(pixels).boxes`.

    Arguments:
        model: a name of the catalogue, a bundle, an .onnx file, a file of another format that `edgeproof import` reads,
            or None for the default detector. Another engine than onnxruntime also takes files of its own formats.
        engine: what runs a model file, a name of `edgeproof.engines`; a bundle names its own.
        options: of that engine.
        threads: threads inside one run. `detect` may be called from several threads at once.
        confidence: the score, 0 to 1, from which a candidate is a face; None for the model's own.
        iou: the overlap, 0 to 1, above which two candidates are one face; None for the model's own.
        long_side: pixels of the picture's long side as the network sees it, at the most; None for the default of 832.
            Smaller ones with small faces, or none, are looked at once more, enlarged, at the most twice. A network of
            fixed size is never given more than it takes.
        scales: the picture is looked at in each of these sizes, as shares of that one, and the faces are put together.
            (1.0, 0.5) finds very large faces too, (1.0, 2.0) very small ones, each look at its own cost.
        decoder: the family of the network (yunet, retinaface, scrfd, ultraface, ssd); None: told by its outputs.

    The model is opened on first use. Use as a context manager, or call `close()`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
        confidence: float | None = None,
        iou: float | None = None,
        long_side: int | None = None,
        scales: Sequence[float] = (1.0,),
        decoder: str | None = None,
    ) -> None:
        if not scales or not all(0 < scale <= _MOST_SCALE for scale in scales):
            raise UsageError(
                f"scales is {tuple(scales)}.", hint=f"Use one or more numbers above 0, up to {_MOST_SCALE:g}."
            )
        FaceDetectionTask(
            confidence=confidence, iou=iou, long_side=LONG_SIDE if long_side is None else long_side
        )
        self._wish = Wish(model, engine, dict(options or {}), threads, confidence, iou, long_side, decoder)
        self._scales = tuple(dict.fromkeys(float(scale) for scale in scales))
        self._lock = threading.Lock()
        self._opened: tuple[Engine, FaceDetectionTask] | None = None
        self._one_at_a_time = threading.Lock()

    def open(self) -> tuple[Engine, FaceDetectionTask]:
        """Open the model, once.

        Raises:
            ModelMissingError: it is not installed.
            NotFoundError, ModelError, BundleError, EngineError: it can't be used.
        """
        with self._lock:
            if self._opened is None:
                self._opened = open_detector(self._wish)
            return self._opened

    def detect(self, pixels: Pixels, frames: Sequence[Framed] | None = None) -> FaceDetections:
        """The faces of a picture, best first, in its pixels.

        Arguments:
            pixels: uint8 (H, W, 3) RGB, upright.
            frames: what `prepare` made of it, where that was done before.

        Raises:
            InputError: not a picture, or the network answered NaN.
            EngineError: the runtime failed.
        """
        _, task = self.open()
        found = self._run(self.prepare(pixels) if frames is None else frames)
        if task.enlarges(pixels) and task.looks_for_more(found):
            found = self._run(self._frames(pixels, enlarged=True))
        return found

    def glance(self, pixels: Pixels) -> FaceDetections:
        """As `detect`, in a third of the time where all faces are large: a smaller look says so first.

        Boxes are as good; landmarks are less exact, so that whoever compares faces uses `detect`.
        """
        _, task = self.open()
        if (small := task.glance(pixels)) is not None:
            found = self._run([small.frame(pixels, enlarged=False, quick=True)], small)
            if task.is_all(found, pixels):
                return found
        return self.detect(pixels)

    def prepare(self, pixels: Pixels) -> tuple[Framed, ...]:
        """What the network is shown of a picture, uint8 (H, W, 3) RGB, at first: one frame a scale."""
        return self._frames(pixels, enlarged=False)

    def _frames(self, pixels: Pixels, *, enlarged: bool) -> tuple[Framed, ...]:
        _, task = self.open()
        scales = (
            self._scales if task.size is None else dict.fromkeys(min(scale, 1.0) for scale in self._scales)
        )
        return tuple(task.frame(pixels, scale, enlarged=enlarged) for scale in scales)

    def _run(self, frames: Sequence[Framed], task: FaceDetectionTask | None = None) -> FaceDetections:
        task = task or self.open()[1]
        return task.choose(merged([self._look(frame, task) for frame in frames]))

    def _look(self, frame: Framed, task: FaceDetectionTask) -> Candidates:
        engine, _ = self.open()
        spec, prepared = engine.inputs[0], task.tensor(frame)
        feeds = {spec.name: prepared.tensor[None].astype(np.dtype(spec.dtype), copy=False)}
        with nullcontext() if engine.info.thread_safe else self._one_at_a_time:
            answer = engine.run(feeds)
        first = {name: array[0] if array.ndim > 2 else array for name, array in answer.items()}
        return task.candidates(first, prepared)

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        with self._lock:
            if self._opened:
                self._opened[0].close()
                self._opened = None

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
