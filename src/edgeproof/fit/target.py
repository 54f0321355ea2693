"""What is to be fitted: a network and the task that gives it meaning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.bundles.bundle import is_bundle
from edgeproof.bundles.catalogue import catalogue
from edgeproof.bundles.store import default_model, find_model
from edgeproof.core.errors import ModelError, UnknownNameError, did_you_mean
from edgeproof.engines import open_engine
from edgeproof.fit.targets import TASKS
from edgeproof.fit.targets.protocol import FitTask, Source
from edgeproof.formats import is_factory
from edgeproof.formats.onnx import one_onnx_file
from edgeproof.tasks.attributes.estimator import builtin_model as attributes_model
from edgeproof.tasks.network import Network
from edgeproof.tasks.orientation import builtin_model as orientation_model

_BUILTIN = {"orientation": orientation_model, "attributes": attributes_model}
_DEFAULT_TASK = "orientation"


@dataclass(frozen=True)
class Target:
    """A network to fit.

    Attributes:
        name: for the bundle.
        model: the .onnx file, in one piece.
        task: with the settings that belong to the original.
        input: the name of its one input.
        batch: the name of its open batch size; None where that is fixed.
        licence, source: of the network, for the manifest.
    """

    name: str
    model: Path
    task: FitTask
    input: str
    batch: str | None
    licence: str
    source: str


@dataclass(frozen=True)
class _Found:
    name: str
    path: Path
    task: str
    licence: str
    source: str
    settings: Mapping[str, Any]


def find_target(
    model: str | os.PathLike[str],
    task: str | None,
    work: Path,
    *,
    data: Path = Path(),
    labels: Path | None = None,
    detector: str | None = None,
) -> Target:
    """A task's own network by the task's name, or any other network for a task.

    Arguments:
        model: a task's name, a name of the catalogue, or a file of any format that `edgeproof.formats` reads.
        task: what it is for, with "-" or "_"; None for what the catalogue says, else orientation.
        work: a folder for the .onnx file that a network of another format, or in several files, is turned into.
        data, labels, detector: as in `Source`.

    Raises:
        UnknownNameError: neither a task nor a network.
        ModelMissingError: a network of the catalogue, or the detector, is not installed.
        ModelError: the file can't be opened, or isn't a network for the task.
        DataError, NotFoundError, StorageError: labels that can't be read.
        MissingExtraError: reading the file needs a library that is not installed.
    """
    found = _find(os.fspath(model), None if task is None else task.replace("_", "-"), work)
    with open_engine(found.path) as engine:
        network = Network(engine, found.path, found.name, found.settings)
        meaning: FitTask = TASKS.load(found.task)(Source(network, data, labels, detector))
        try:
            (spec,) = engine.inputs
            if isinstance(spec.shape[0], int) and spec.shape[0] != 1:
                raise ModelError(
                    f"The network takes {spec.shape[0]} pictures at a time.",
                    hint="Export it with a batch of 1, or an open one.",
                )
        except BaseException:
            meaning.close()
            raise
        batch = spec.shape[0] if isinstance(spec.shape[0], str) else None
        return Target(found.name, found.path, meaning, spec.name, batch, found.licence, found.source)


def _find(name: str, task: str | None, work: Path) -> _Found:
    if is_bundle(name):
        raise ModelError(
            f"{name} is a bundle, which was fitted already.", hint="Fit the network that it was made of."
        )
    own = name.replace("_", "-")
    if own in _BUILTIN:
        return _Found(own, _BUILTIN[own](), own, "Apache-2.0", "edgeproof", {})
    if own in TASKS:
        name, task = _default_network(own), own
    if is_factory(name):
        path = one_onnx_file(Path(name), work)
        return _Found(
            Path(name.rpartition(":")[2]).stem,
            path,
            task or _DEFAULT_TASK,
            "unknown: as the model file's",
            name,
            {},
        )
    if name not in catalogue() and not Path(name).exists():
        raise UnknownNameError(
            f"{name!r} is neither a task, nor a network of the catalogue, nor a model file.",
            hint=did_you_mean(name, [*TASKS, *catalogue()]) + " Or give the path of a network.",
        )
    found = find_model(name)
    entry = found.entry
    if entry is not None and task not in (None, entry.task):
        raise ModelError(
            f"{entry.name} is a network for {entry.task}, not for {task}.", hint=f"Use --task {entry.task}."
        )
    return _Found(
        entry.name if entry and name == entry.name else found.path.stem,
        one_onnx_file(found.path, work),
        entry.task if entry else task or _DEFAULT_TASK,
        entry.licence if entry else "unknown: as the model file's",
        entry.source if entry else found.path.name,
        entry.settings if entry else {},
    )


def _default_network(task: str) -> str:
    try:
        return default_model(task)
    except UnknownNameError as error:
        raise UnknownNameError(
            f"There is no network for {task} that comes first.",
            hint=f"Name a network: one of `edgeproof models list`, or a file with --task {task}.",
        ) from error
