"""Opening a detector: its network, its decoder and the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgeproof.core.options import Options
from edgeproof.formats.onnx_metadata import read_metadata
from edgeproof.tasks.detection.decoder import Form, Known
from edgeproof.tasks.detection.names import chosen_names, names_of, read_labels
from edgeproof.tasks.detection.recognise import recognise
from edgeproof.tasks.detection.task import LONG_SIDE, MOST, DetectionTask, layout_of
from edgeproof.tasks.network import Network, open_network


@dataclass(frozen=True)
class Wish:
    """What is asked of a detector; None: what the model or its family has.

    Attributes:
        model: a name of the catalogue, or a path.
        engine, options, threads: what runs it.
        confidence, iou, agnostic, classes, long_side, most: as in `DetectionTask`.
        labels: a file with the names of the classes.
        decoder: a name of `DECODERS`.
    """

    model: str | os.PathLike[str]
    engine: str = "onnxruntime"
    options: Options | None = None
    threads: int = 1
    confidence: float | None = None
    iou: float | None = None
    agnostic: bool = False
    classes: tuple[int | str, ...] | None = None
    long_side: int | None = None
    most: int = MOST
    labels: str | os.PathLike[str] | None = None
    decoder: str | None = None


def open_detector(wish: Wish) -> tuple[Network, DetectionTask]:
    """The network, opened, and what its answers mean.

    Raises:
        ModelMissingError: it is not installed.
        NotFoundError, ModelError, BundleError, EngineError: it can't be used.
        DataError: a labels file that doesn't fit.
        UsageError: options that don't go together.
    """
    given = None if wish.labels is None else read_labels(wish.labels)
    network = open_network(
        wish.model, DetectionTask.name, engine=wish.engine, options=wish.options, threads=wish.threads
    )
    try:
        return network, task_of(network, wish, given)
    except BaseException:
        network.engine.close()
        raise


def task_of(network: Network, wish: Wish, given: tuple[str, ...] | None = None) -> DetectionTask:
    """What an open network's answers mean.

    Arguments:
        given: the names of the classes; None for the network's own.

    Raises:
        ModelError: it is no detector, or no decoder fits.
        DataError, UnknownNameError: names that don't fit.
    """
    settings = network.settings
    layout = layout_of(network.engine.inputs)
    written = names_of(read_metadata(network.file)) if network.file.suffix.lower() == ".onnx" else None
    known = Known(network.engine.outputs, layout.size, None if written is None else len(written))
    decoder = recognise(known, wish.decoder or _family(settings))
    names = chosen_names(given, written, decoder.classes)
    return DetectionTask(
        decoder,
        _form(decoder.form, settings),
        layout,
        settings.get("confidence") if wish.confidence is None else wish.confidence,
        settings.get("iou") if wish.iou is None else wish.iou,
        wish.agnostic,
        None if wish.classes is None else class_numbers(wish.classes, names),
        int(wish.long_side or settings.get("long_side") or LONG_SIDE),
        wish.most,
        names,
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
    for name in ("mean", "std"):
        if name in settings:
            changed[name] = tuple(map(float, settings[name]))
        elif f"{name}_0" in settings:
            changed[name] = tuple(float(settings[f"{name}_{channel}"]) for channel in range(3))
    if "bgr" in settings:
        changed["bgr"] = bool(settings["bgr"])
    return replace(form, **changed)


def class_numbers(wanted: tuple[int | str, ...], names: tuple[str, ...] | None) -> tuple[int, ...]:
    """Classes by name or number to numbers.

    Raises:
        UnknownNameError: there is no such class.
    """
    from edgeproof.core.errors import UnknownNameError, did_you_mean

    found = []
    for one in wanted:
        text = str(one).strip()
        if names is not None and text in names:
            found.append(names.index(text))
        elif text.isdecimal() and (names is None or int(text) < len(names)):
            found.append(int(text))
        else:
            hint = (
                did_you_mean(text, names)
                if names
                else "This network's file has no names: give numbers, or labels."
            )
            raise UnknownNameError(f"There is no class {text!r}.", hint=hint)
    return tuple(found)
