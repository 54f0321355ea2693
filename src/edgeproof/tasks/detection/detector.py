"""Finds the objects of a picture."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.detections import Detections
from edgeproof.core.protocols import Pixels, Prepared
from edgeproof.core.tensor import Array
from edgeproof.tasks.detection.open import Wish, open_detector
from edgeproof.tasks.detection.task import LONG_SIDE, DetectionTask
from edgeproof.tasks.detection.tiles import merged, tiles_of
from edgeproof.tasks.network import Network

_SPARE = 4
# For networks that suppress themselves, and so have no overlap of their own.
TILES_IOU = 0.6


class ObjectDetector:
    """Finds objects: `ObjectDetector(Wish("yolox-nano")).detect(pixels).xyxy`.

    Arguments:
        wish: the model, and what is asked of it.

    The model is opened on first use; may be used from several threads. Use as a context manager, or call `close()`.
    """

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        DetectionTask(
            confidence=wish.confidence,
            iou=wish.iou,
            long_side=LONG_SIDE if wish.long_side is None else wish.long_side,
        )
        self._lock, self._runs = threading.Lock(), threading.Lock()
        self._opened: tuple[Network, DetectionTask] | None = None
        self._spare: list[NDArray[Any]] = []

    def open(self) -> tuple[Network, DetectionTask]:
        """Open the model, once.

        Raises:
            ModelMissingError: it is not installed.
            NotFoundError, ModelError, BundleError, EngineError: it can't be used.
            DataError: a labels file that doesn't fit.
        """
        with self._lock:
            if self._opened is None:
                self._opened = open_detector(self._wish)
            return self._opened

    def detect(self, pixels: Pixels, *, least: float | None = None) -> Detections:
        """The objects of a picture, best first, in its pixels.

        Arguments:
            pixels: uint8 (H, W, 3) RGB, upright.
            least: the score from which a candidate is an object, if it is to be another than usual.

        Raises:
            InputError: not a picture, or the network answered NaN.
            EngineError: the runtime failed.
        """
        prepared = self.prepare(pixels)
        return self.decode(self.run(prepared), prepared, least=least)

    def add_tiles(self, pixels: Pixels, whole: Detections, *, least: float | None = None) -> Detections:
        """What was found in a picture, uint8 (H, W, 3) RGB, and what is found in its tiles, as one."""
        _, task = self.open()
        size = (pixels.shape[1], pixels.shape[0])
        parts = [
            (
                tile,
                self.detect(
                    pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width], least=least
                ),
            )
            for tile in tiles_of(size, task.tile)
        ]
        if not parts:
            return whole
        iou = task.iou or min(task.decoder.iou, TILES_IOU)
        found = merged(whole, parts, size, iou=iou, agnostic=task.agnostic, most=task.most)
        return found if task.names is None else found.named(task.names)

    def prepare(self, pixels: Pixels) -> Prepared:
        """What the network is shown of a picture, uint8 (H, W, 3) RGB; `decode` takes its buffer back."""
        _, task = self.open()
        with self._lock:
            spare = self._spare.pop() if self._spare else None
        return task.prepare(pixels, spare)

    def run(self, prepared: Prepared) -> dict[str, Array]:
        """The network's outputs for a prepared picture, without the batch axis."""
        network, _ = self.open()
        spec = network.engine.inputs[0]
        tensor = prepared.tensor[None]
        if isinstance(spec.shape[0], int) and spec.shape[0] > 1:
            tensor = np.concatenate([tensor, np.zeros((spec.shape[0] - 1, *tensor.shape[1:]), tensor.dtype)])
        answer = self._answer(network, {spec.name: tensor})
        return {name: array[0] if array.ndim > 2 else array for name, array in answer.items()}

    def _answer(self, network: Network, feeds: Mapping[str, Array]) -> dict[str, Array]:
        with nullcontext() if network.engine.info.thread_safe else self._runs:
            return network.engine.run(feeds)

    def decode(
        self, outputs: Mapping[str, Array], prepared: Prepared, *, least: float | None = None
    ) -> Detections:
        """Outputs of a prepared picture to its objects, in the picture's pixels; the picture is used up."""
        _, task = self.open()
        found = task.decode(outputs, prepared, least=least)
        with self._lock:
            if len(self._spare) < _SPARE:
                self._spare.append(prepared.tensor)
        return found

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        with self._lock:
            if self._opened:
                self._opened[0].engine.close()
                self._opened = None
            self._spare.clear()

    def __enter__(self) -> ObjectDetector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
