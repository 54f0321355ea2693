"""What is to be fitted: a network and the task that gives it meaning."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import UnknownNameError, did_you_mean
from edgeproof.core.protocols import Task
from edgeproof.engines import open_engine
from edgeproof.formats import is_factory
from edgeproof.formats.onnx import one_onnx_file
from edgeproof.tasks import TASKS


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
    task: Task
    input: str
    batch: str | None
    licence: str
    source: str


def find_target(model: str | os.PathLike[str], task: str, work: Path) -> Target:
    """A task's own network by the task's name, or a model file that is meant for `task`.

    Arguments:
        model: a task's name, or a file of any format that `edgeproof.formats` reads.
        task: what a model file is for.
        work: a folder for the .onnx file that a network of another format, or in several files, is turned into.

    Raises:
        UnknownNameError: neither a task nor a file.
        ModelError: the file can't be opened, or isn't a network for the task.
        MissingExtraError: reading the file needs a library that is not installed.
    """
    name = os.fspath(model)
    if name in TASKS:
        kind = TASKS.load(name)
        path, licence, source = kind.default_model(), "Apache-2.0", "edgeproof"
    elif Path(name).exists() or is_factory(name):
        kind = TASKS.load(task)
        licence, source = "unknown: as the model file's", Path(name).name
        path, name = one_onnx_file(Path(name), work), Path(name.rpartition(":")[2]).stem
    else:
        raise UnknownNameError(
            f"{name!r} is neither a task nor a model file.",
            hint=did_you_mean(name, TASKS) + " Or give the path of a network.",
        )
    meaning: Task = kind()
    with open_engine(path) as engine:
        meaning.check(engine.inputs, engine.outputs)
        (spec,) = engine.inputs
        batch = spec.shape[0] if isinstance(spec.shape[0], str) else None
        return Target(name, path, meaning, spec.name, batch, licence, source)
