"""Is this photo turned by 90, 180 or 270 degrees, and which turn puts it upright?

The network sees a centre square and answers four logits: class k means that the picture stands turned
k x 90 degrees counter-clockwise, so that turning it k x 90 degrees clockwise puts it upright.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from edgeproof.bundles.bundle import is_bundle
from edgeproof.bundles.manifest import EngineNeed
from edgeproof.core.errors import InputError, ModelError, UsageError
from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine, Example, Pixels, Prepared
from edgeproof.core.results import TURNS, OrientationResult
from edgeproof.core.softmax import log_softmax, softmax
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.imaging.decode import decode
from edgeproof.imaging.resize import crop_square
from edgeproof.tasks.network import bundle_for, open_file

if TYPE_CHECKING:
    from edgeproof.imaging.decode import Source

SIDE = 192
# Fitted on photos of general objects that the network never saw; photos like those it was trained on would
# give 1.1, and with it too much confidence elsewhere. data/orientation.md has the figures.
TEMPERATURE = 1.6
# At most 0.5 % of upright photos are then turned wrongly.
THRESHOLD = 0.95
# Four views can agree or disagree, which a single pass can't: their mean is calibrated on its own.
TEMPERATURE_4 = 1.4
THRESHOLD_4 = 0.97


def builtin_model() -> Path:
    """The network that comes with the package; its card is orientation.md beside it."""
    return Path(str(files("edgeproof") / "data" / "orientation.onnx"))


def turned_views(tensor: Array) -> list[Array]:
    """The picture (3, S, S) turned 0, 90, 180, 270 degrees counter-clockwise: the classes 0 to 3."""
    return [np.ascontiguousarray(np.rot90(tensor, k, axes=(1, 2))) for k in range(4)]


def turned_pixels(pixels: Pixels) -> list[Pixels]:
    """The picture (H, W, 3) turned 0, 90, 180, 270 degrees counter-clockwise."""
    return [np.ascontiguousarray(np.rot90(pixels, k)) for k in range(4)]


def combine_turns(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """One picture seen in four turns (4, 4) to four logits: the mean log-probability of each answer.

    Row j is the picture turned j x 90 degrees counter-clockwise, so its class k + j speaks for class k.
    """
    logs = log_softmax(logits)
    return np.asarray(np.mean([np.roll(logs[j], -j) for j in range(4)], axis=0))


@dataclass(frozen=True)
class OrientationTask:
    """The meaning of an orientation network.

    Attributes:
        temperature: what the logits are divided by, so that probabilities hold (fitted on held-back photos).
        threshold: confidence below which the answer is "unsure".
    """

    temperature: float = TEMPERATURE
    threshold: float = THRESHOLD

    name = "orientation"
    metric_name = "accuracy"
    # Decoding and resampling both smooth: from less than 1.5 times the side the two together cost 2 points.
    cover = SIDE * 3 // 2

    @staticmethod
    def default_model() -> Path:
        """The network that comes with the package."""
        return builtin_model()

    def settings(self) -> dict[str, float]:
        """What a manifest keeps of this task."""
        return {"temperature": self.temperature, "threshold": self.threshold}

    def prepare(self, pixels: Pixels) -> Prepared:
        """Centre square, area-resampled: uint8 (H, W, 3) RGB to uint8 (3, 192, 192)."""
        return Prepared(np.ascontiguousarray(crop_square(pixels, SIDE).transpose(2, 0, 1)))

    def decode(self, outputs: Mapping[str, Array], prepared: Prepared) -> OrientationResult:  # noqa: ARG002
        """Logits (4,) to a result."""
        return self.decide(next(iter(outputs.values())))

    def decide(self, logits: Array) -> OrientationResult:
        """Logits (4,) to a result; raises InputError where they are not finite."""
        if logits.shape != (4,) or not np.isfinite(logits).all():
            raise InputError(
                f"The network answered {np.array2string(np.asarray(logits), threshold=8)}.",
                hint="Four finite logits were expected: check the model file with `edgeproof check`.",
            )
        probabilities = softmax(logits, self.temperature)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        decision = "unsure" if confidence < self.threshold else "turn" if best else "keep"
        return OrientationResult(TURNS[best], confidence, decision, probabilities)

    def examples(self, pixels: Pixels) -> list[Example]:
        """A photo that stands upright labels itself: it is seen in all four turns."""
        views = turned_views(self.prepare(pixels).tensor)
        return [Example(view, truth) for truth, view in enumerate(views)]

    def score(self, outputs: Mapping[str, Array], truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) 1.0 where the answer is right."""
        return np.asarray(next(iter(outputs.values())).argmax(axis=1) == truth, dtype=np.float64)

    def check(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        """One input (N, 3, 192, 192) float32, one output (N, 4).

        Raises:
            ModelError: the network has others.
        """
        wanted = "one input float32[N, 3, 192, 192] and one output [N, 4]"
        fits = (
            len(inputs) == len(outputs) == 1
            and inputs[0].accepts((1, 3, SIDE, SIDE))
            and inputs[0].dtype == "float32"
            and outputs[0].accepts((1, 4))
        )
        if not fits:
            has = ", ".join(map(str, (*inputs, *outputs)))
            raise ModelError(
                f"This is not an orientation network: it has {has}.",
                hint=f"An orientation network has {wanted}.",
            )


class Orientation:
    """Finds how photos stand: `Orientation()("photo.jpg").turn`.

    Arguments:
        model: a bundle, an .onnx file, a file of another format that `edgeproof import` reads, or None for the
            network that comes with the package.
        turns: 1, or 4 to look at each picture in all four turns: more accurate, four times the cost.
        threshold: confidence below which the answer is "unsure"; None for the model's own.
        threads: threads inside one run; None for the model's own. `run` may be called from several
            threads at once, so throughput comes from more callers, latency from more threads.
        full_decode: decode whole JPEGs instead of at the smallest scale that covers the network's input.
        engine: what runs a model file, a name of `edgeproof.engines`; a bundle names its own.
        options: of that engine.

    The model is opened on first use. Use as a context manager, or call `close()`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        turns: int = 1,
        threshold: float | None = None,
        threads: int | None = None,
        full_decode: bool = False,
        engine: str = "onnxruntime",
        options: Options | None = None,
    ) -> None:
        if turns not in (1, 4):
            raise UsageError(
                f"turns is {turns}.", hint="Use 1 (fast) or 4 (more accurate, four times the cost)."
            )
        if threshold is not None and not 0 < threshold <= 1:
            raise UsageError(f"threshold is {threshold}.", hint="Use a probability above 0, up to 1.")
        self._model, self._turns, self._threshold, self._threads = model, turns, threshold, threads
        self._need = EngineNeed(engine, "", options=dict(options or {}))
        self.cover = None if full_decode else OrientationTask.cover
        self._lock = threading.Lock()
        self._opened: tuple[Engine, OrientationTask] | None = None

    def open(self) -> tuple[Engine, OrientationTask]:
        """Open the model, once.

        Raises:
            BundleError, ModelError: it can't be used.
        """
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Engine, OrientationTask]:
        settings = {} if self._turns == 1 else {"temperature": TEMPERATURE_4, "threshold": THRESHOLD_4}
        path, need = Path(self._model or builtin_model()), self._need
        if is_bundle(path):
            bundle = bundle_for(path, "orientation", need)
            need, path = bundle.manifest.engine, bundle.model
            if self._turns == 1:
                settings = dict(bundle.manifest.settings)
        if self._threshold is not None:
            settings["threshold"] = self._threshold
        unknown = settings.keys() - OrientationTask().settings().keys()
        if unknown:
            raise ModelError(
                f"{self._model} has settings that orientation doesn't know: {', '.join(sorted(unknown))}.",
                hint="Build the bundle again with `edgeproof fit`.",
            )
        task = OrientationTask(**settings)
        threads = need.threads if self._threads is None else self._threads
        engine = open_file(path, need, threads)
        task.check(engine.inputs, engine.outputs)
        return engine, task

    @overload
    def __call__(self, image: list[Source] | tuple[Source, ...]) -> list[OrientationResult]: ...

    @overload
    def __call__(self, image: Source) -> OrientationResult: ...

    def __call__(
        self, image: Source | list[Source] | tuple[Source, ...]
    ) -> OrientationResult | list[OrientationResult]:
        """How one picture stands, or each of a list.

        Arguments:
            image: a path, encoded bytes, a PIL image, an array uint8 (H, W, 3) RGB, or a list of these.

        Raises:
            ImageError: a picture can't be decoded.
        """
        if isinstance(image, (list, tuple)):
            return [self(one) for one in image]
        return self.look_at(image)[0]

    def look_at(self, image: Source) -> tuple[OrientationResult, int]:
        """How one picture stands, and the EXIF orientation (1 to 8) that its viewer applies."""
        picture = decode(image, cover=self.cover)
        return self.look(picture.pixels), picture.exif_orientation

    def look(self, pixels: Pixels) -> OrientationResult:
        """How a decoded picture, uint8 (H, W, 3) RGB, stands."""
        _, task = self.open()
        tensor = task.prepare(pixels).tensor
        if self._turns == 1:
            return task.decide(self.logits(tensor))
        # One after the other: a batch of four is no faster on a processor, and takes four times the memory.
        return task.decide(combine_turns(np.stack([self.logits(view) for view in turned_views(tensor)])))

    def logits(self, tensor: Array) -> NDArray[np.float32]:
        """The network's raw answer: uint8 (3, 192, 192) to float32 (4,)."""
        engine, _ = self.open()
        answer = engine.run({engine.inputs[0].name: tensor[None].astype(np.float32)})
        return np.asarray(answer[engine.outputs[0].name][0], dtype=np.float32)

    def close(self) -> None:
        """Free the model; it is opened again on the next use."""
        with self._lock:
            if self._opened:
                self._opened[0].close()
                self._opened = None

    def __enter__(self) -> Orientation:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
