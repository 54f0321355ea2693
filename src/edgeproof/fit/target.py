"""What is to be fitted: a network and the task that gives it meaning."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import UnknownNameError, did_you_mean
from edgeproof.core.protocols import Task
from edgeproof.engines import open_engine
from edgeproof.tasks import TASKS


@dataclass(frozen=True)
class Target:
    """A network to fit.

    Attributes:
        name: for the bundle.
        model: the .onnx file.
        task: with the settings that belong to the original.
        input: the name of its one input.
        licence, source: of the network, for the manifest.
    """

    name: str
    model: Path
    task: Task
    input: str
    licence: str
    source: str


def find_target(model: str | os.PathLike[str], task: str = "orientation") -> Target:
    """A task's own network by the task's name, or a model file that is meant for `task`.

    Raises:
        UnknownNameError: neither a task nor a file.
        ModelError: the file can't be opened, or isn't a network for the task.
    """
    name = os.fspath(model)
    if name in TASKS:
        kind = TASKS.load(name)
        path, licence, source = kind.default_model(), "Apache-2.0", "edgeproof"
    elif Path(name).is_file():
        kind, path = TASKS.load(task), Path(name)
        licence, source = "unknown: as the model file's", path.name
        name = path.stem
    else:
        raise UnknownNameError(
            f"{name!r} is neither a task nor a model file.",
            hint=did_you_mean(name, TASKS) + " Or give the path of an .onnx file.",
        )
    meaning: Task = kind()
    with open_engine(path) as engine:
        meaning.check(engine.inputs, engine.outputs)
        return Target(name, path, meaning, engine.inputs[0].name, licence, source)
