"""One network for age, gender or both, opened and asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.options import Options
from edgeproof.core.protocols import Pixels
from edgeproof.core.tensor import Array
from edgeproof.imaging.crop import square_crops
from edgeproof.tasks.attributes.family import Answers, Family
from edgeproof.tasks.attributes.recognise import recognise
from edgeproof.tasks.network import Network, open_network

# All faces of an ordinary picture at once; a crowd's in parts, so that memory has a bound.
_BATCH = 16


def builtin_model() -> Path:
    """The network that comes with the package; its card is attributes.md beside it."""
    return Path(str(files("edgeproof") / "data" / "attributes.onnx"))


class AttributeEstimator:
    """Asks one network about faces: `AttributeEstimator().ask(pixels, boxes)`.

    Arguments:
        model: a name of the catalogue, a bundle, a file of any format that `edgeproof import` reads, or None for the
            network that comes with the package. Its family is told by its inputs and outputs.
        engine, options: what runs a model file, a name of `edgeproof.engines`, and its options.
        threads: threads inside one run.

    The model is opened on first use; may be used from several threads. Use as a context manager, or call `close()`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        engine: str = "onnxruntime",
        options: Options | None = None,
        threads: int = 1,
    ) -> None:
        self._model, self._engine, self._options, self._threads = model, engine, options, threads
        self._lock, self._runs = threading.Lock(), threading.Lock()
        self._opened: tuple[Network, Family] | None = None

    def open(self) -> tuple[Network, Family]:
        """Open the model, once.

        Raises:
            ModelMissingError: a model of the catalogue that is not installed.
            NotFoundError, ModelError, BundleError, EngineError: it can't be used.
        """
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Network, Family]:
        network = open_network(
            self._model or builtin_model(),
            "attributes",
            engine=self._engine,
            options=self._options,
            threads=self._threads,
        )
        try:
            family = recognise(network.engine.inputs, network.engine.outputs).with_settings(network.settings)
        except BaseException:
            network.engine.close()
            raise
        return network, family

    @property
    def family(self) -> Family:
        """What it is shown and what its answers mean; opens the model."""
        return self.open()[1]

    def ask(self, pixels: Pixels, boxes: NDArray[np.float32]) -> Answers:
        """What the network says of the faces of a picture.

        Arguments:
            pixels: uint8 (H, W, 3) RGB, upright.
            boxes: float (N, 4), xyxy, of a detector: they are made square and grown here.

        Raises:
            InputError: the network answered NaN.
            EngineError: the runtime failed.
        """
        family = self.family
        return self.answer(square_crops(pixels, boxes, family.side, grow=family.grow))

    def answer(self, crops: NDArray[np.uint8]) -> Answers:
        """What the network says of squares uint8 (N, side, side, 3) RGB; errors as `ask`."""
        network, family = self.open()
        (spec,) = network.engine.inputs
        fixed = spec.shape[0] if isinstance(spec.shape[0], int) else None
        parts = []
        for start in range(0, len(crops), fixed or _BATCH):
            tensor = family.prepare(crops[start : start + (fixed or _BATCH)])
            count = len(tensor)
            if fixed and count < fixed:
                tensor = np.concatenate([tensor, np.zeros((fixed - count, *tensor.shape[1:]), np.float32)])
            answer = self._run(network, {spec.name: tensor.astype(spec.dtype, copy=False)})
            parts.append(family.read({name: array[:count] for name, array in answer.items()}))
        return _joined(parts)

    def _run(self, network: Network, feeds: Mapping[str, Array]) -> dict[str, Array]:
        with nullcontext() if network.engine.info.thread_safe else self._runs:
            return network.engine.run(feeds)

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        with self._lock:
            if self._opened:
                self._opened[0].engine.close()
                self._opened = None

    def __enter__(self) -> AttributeEstimator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _joined(parts: list[Answers]) -> Answers:
    def all_of(name: str) -> NDArray[np.float64] | None:
        values = [getattr(part, name) for part in parts]
        return np.concatenate(values) if values and values[0] is not None else None

    return Answers(all_of("age"), all_of("years"), all_of("gender"))
