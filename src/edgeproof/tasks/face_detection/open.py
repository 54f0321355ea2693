"""Opening a face detector: a name of the catalogue, a bundle, or a file of any format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine
from edgeproof.tasks.face_detection.decoder import Form
from edgeproof.tasks.face_detection.recognise import recognise
from edgeproof.tasks.face_detection.task import LONG_SIDE, FaceDetectionTask, check_input
from edgeproof.tasks.network import Network, open_network


@dataclass(frozen=True)
class Wish:
    """What is asked of a detector; None: what the model or its family has.

    Attributes:
        model: a name, a path, or None for the default one.
        engine, options, threads: what runs it.
        confidence, iou, long_side: as in `FaceDetectionTask`.
        decoder: a name of `DECODERS`.
    """

    model: str | os.PathLike[str] | None
    engine: str = "onnxruntime"
    options: Options = field(default_factory=dict)
    threads: int = 1
    confidence: float | None = None
    iou: float | None = None
    long_side: int | None = None
    decoder: str | None = None


def open_detector(wish: Wish) -> tuple[Engine, FaceDetectionTask]:
    """The network, opened, and what its answers mean.

    Raises:
        ModelMissingError: it is not installed.
        NotFoundError, ModelError, BundleError, EngineError: it can't be used.
        UsageError: options that don't go together.
    """
    network = open_network(
        wish.model, FaceDetectionTask.name, engine=wish.engine, options=wish.options, threads=wish.threads
    )
    try:
        return network.engine, task_of(network, wish)
    except BaseException:
        network.engine.close()
        raise


def task_of(network: Network, wish: Wish) -> FaceDetectionTask:
    """What an open network's answers mean.

    Raises:
        ModelError: it is no detector of faces.
    """
    engine, settings = network.engine, network.settings
    size = check_input(engine.inputs)
    decoder = recognise(engine.outputs, wish.decoder or _family(settings))
    long_side = wish.long_side or settings.get("long_side") or (LONG_SIDE if size is None else max(size))
    return FaceDetectionTask(
        decoder,
        _form(decoder.form, settings),
        size,
        settings.get("confidence") if wish.confidence is None else wish.confidence,
        settings.get("iou") if wish.iou is None else wish.iou,
        int(long_side),
    )


def _family(settings: Mapping[str, Any]) -> str | None:
    """A catalogue says it in words; a bundle's manifest, which holds numbers only, by the name of one."""
    named = (name.removeprefix("decoder_") for name in settings if name.startswith("decoder_"))
    return settings.get("family") or next(named, None)


def _form(form: Form, settings: Mapping[str, Any]) -> Form:
    """A family's form, with what the catalogue or a bundle says of one network."""
    changed: dict[str, Any] = {}
    if "colour" in settings:
        changed["bgr"] = settings["colour"] == "BGR"
    if "mean" in settings:
        changed["mean"] = tuple(map(float, settings["mean"]))
    if "mean_0" in settings:
        changed["mean"] = tuple(float(settings[f"mean_{channel}"]) for channel in range(3))
    if "std" in settings:
        changed["scale"] = 1.0 / float(settings["std"][0])
    if "scale" in settings:
        changed["scale"] = float(settings["scale"])
    changed |= {name: bool(settings[name]) for name in ("bgr", "stretch") if name in settings}
    return replace(form, **changed)
