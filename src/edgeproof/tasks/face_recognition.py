"""Faces to vectors: the cosine of two of them tells whether they are of one person.

For networks of the ArcFace family (CurricularFace, MobileFaceNet and others), which see an aligned face.
"""

from __future__ import annotations

import os
import threading

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.faces import Floats
from edgeproof.core.files import sha256_of
from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine
from edgeproof.tasks.face_recognition_task import (
    FaceRecognitionTask,
    embedding_output,
    takes_face,
    unit_vectors,
)
from edgeproof.tasks.network import Network, open_network

__all__ = ["FaceRecognitionTask", "FaceRecognizer", "unit_vectors"]

# More faces than this in one run make it no faster on any processor measured, and take memory for each.
MAX_BATCH = 16


class FaceRecognizer:
    """Gives each aligned face its vector: `FaceRecognizer().embed(crops)`.

    Arguments:
        model: a name of the catalogue, a bundle, a file of any format that `edgeproof import` reads, or None for the
            catalogue's default, `mobilefacenet`.
        engine, options: what runs a model file, a name of `edgeproof.engines`, and its options; a bundle names its own.
        threads: threads inside one run.
        flip: embed each face and its mirror image and take their mean: slightly more accurate, twice the cost.
        task: how pixels become the network's input, where the file is not one of the catalogue and was not trained
            as ArcFace was.

    The model is opened on first use. `embed` may be called from several threads where the engine allows that.
    Use as a context manager, or call `close()`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
        flip: bool = False,
        task: FaceRecognitionTask | None = None,
    ) -> None:
        self._model, self._engine, self._options, self._threads = model, engine, options, threads
        self._flip, self._task = flip, task
        self._lock, self._runs = threading.Lock(), threading.Lock()
        self._opened: tuple[Network, FaceRecognitionTask] | None = None
        self._digest: str | None = None
        self._dimensions: int | None = None

    def open(self) -> tuple[Network, FaceRecognitionTask]:
        """Open the model, once.

        Raises:
            ModelMissingError: a model of the catalogue that is not installed.
            NotFoundError, ModelError, BundleError, EngineError: it can't be used.
        """
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Network, FaceRecognitionTask]:
        network = open_network(
            self._model,
            FaceRecognitionTask.name,
            engine=self._engine,
            options=self._options,
            threads=self._threads,
        )
        try:
            task = self._task or FaceRecognitionTask.from_settings(network.settings)
            task.check(network.engine.inputs, network.engine.outputs)
        except BaseException:
            network.engine.close()
            raise
        return network, task

    @property
    def task(self) -> FaceRecognitionTask:
        """How pixels become the network's input, and its threshold; opens the model."""
        return self.open()[1]

    @property
    def name(self) -> str:
        """The model's name in the catalogue, or the file's; opens the model."""
        return self.open()[0].name

    @property
    def digest(self) -> str:
        """The SHA-256 of the model's file, by which a gallery knows whose vectors it holds."""
        if self._digest is None:
            self._digest = sha256_of(self.open()[0].file)
        return self._digest

    @property
    def dimensions(self) -> int:
        """How long its vectors are."""
        if self._dimensions is None:
            network, task = self.open()
            spec = embedding_output(network.engine.outputs)
            assert spec is not None
            stated = spec.shape[1]
            blank = np.zeros((1, task.side, task.side, 3), np.uint8)
            self._dimensions = stated if isinstance(stated, int) else self._vectors(blank).shape[1]
        return self._dimensions

    def embed(self, crops: NDArray[np.uint8]) -> Floats:
        """The vectors of aligned faces.

        Arguments:
            crops: uint8 (N, S, S, 3) RGB, from `edgeproof.imaging.align.align_faces`; S is 112 for nearly all networks.

        Returns:
            float32 (N, D), each of length 1, so that the product of two is their cosine similarity.

        Raises:
            InputError: crops of another shape or dtype, or a vector that is zero or not finite.
        """
        side = self.task.side
        if crops.dtype != np.uint8 or crops.shape != (len(crops), side, side, 3):
            raise InputError(
                f"The faces are {crops.dtype} {list(crops.shape)}.",
                hint=f"Expected uint8 (N, {side}, {side}, 3) RGB, from align_faces.",
            )
        if not len(crops):
            return np.empty((0, self.dimensions), np.float32)
        vectors = unit_vectors(self._vectors(crops))
        if not self._flip:
            return vectors
        return unit_vectors(vectors + unit_vectors(self._vectors(crops[:, :, ::-1])))

    def _vectors(self, crops: NDArray[np.uint8]) -> Floats:
        network, task = self.open()
        (spec,) = network.engine.inputs
        fixed = spec.shape[0]
        size = fixed if isinstance(fixed, int) else MAX_BATCH
        last = not takes_face(spec, (3, task.side, task.side))
        parts = []
        for start in range(0, len(crops), size):
            tensor = task.prepare_all(crops[start : start + size], channels_last=last)
            count = len(tensor)
            if isinstance(fixed, int) and count < fixed:
                tensor = np.concatenate([tensor, np.zeros((fixed - count, *tensor.shape[1:]), np.float32)])
            parts.append(self._run(network.engine, tensor)[:count])
        return np.concatenate(parts)

    def _run(self, engine: Engine, tensor: NDArray[np.float32]) -> Floats:
        output = embedding_output(engine.outputs)
        assert output is not None
        feeds = {engine.inputs[0].name: tensor}
        if engine.info.thread_safe:
            answer = engine.run(feeds)
        else:
            with self._runs:
                answer = engine.run(feeds)
        return np.asarray(answer[output.name], dtype=np.float32).reshape(len(tensor), -1)

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        with self._lock:
            if self._opened:
                self._opened[0].engine.close()
                self._opened = None

    def __enter__(self) -> FaceRecognizer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
