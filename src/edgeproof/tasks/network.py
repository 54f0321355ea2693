"""A task's network, opened from whatever the user named: a model of the catalogue, a file, or a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgeproof.bundles.bundle import Bundle, is_bundle, open_bundle
from edgeproof.bundles.manifest import EngineNeed
from edgeproof.bundles.store import default_model, find_model
from edgeproof.core.errors import ModelError, UsageError
from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine
from edgeproof.engines import open_engine


@dataclass(frozen=True)
class Network:
    """An open network and what is known about it.

    Attributes:
        engine: what runs it; whoever opened it closes it.
        file: the file it was read from; in a bundle, the bundle's own.
        name: its name in the catalogue, or the file's.
        settings: of the catalogue or the bundle; empty where nothing is known about the file.
    """

    engine: Engine
    file: Path
    name: str
    settings: Mapping[str, Any]


def open_network(
    model: str | os.PathLike[str] | None, task: str, *, engine: str, options: Options | None, threads: int
) -> Network:
    """Open a network for a task.

    Arguments:
        model: a name of the catalogue, a bundle, a file of any format that `edgeproof import` reads, or None for the
            task's default of the catalogue.
        engine, options: what runs a model file; a bundle names its own.

    Raises:
        ModelMissingError: a model of the catalogue that is not installed.
        NotFoundError, ModelError, BundleError, EngineError: it can't be used.
    """
    found = find_model(default_model(task) if model is None else model)
    need, file = EngineNeed(engine, "", options=dict(options or {})), found.path
    settings: Mapping[str, Any] = found.entry.settings if found.entry else {}
    name = found.entry.name if found.entry else found.path.name
    if found.entry and found.entry.task != task:
        raise ModelError(
            f"{found.entry.name} is a network for {found.entry.task}, not for {task}.",
            hint="See them all: edgeproof models list",
        )
    if is_bundle(file):
        bundle = bundle_for(file, task, need)
        need, file, settings = bundle.manifest.engine, bundle.model, bundle.manifest.settings
    return Network(open_file(file, need, threads), file, name, settings)


def bundle_for(path: Path, task: str, wished: EngineNeed) -> Bundle:
    """A bundle, opened and checked, that was made for a task.

    Arguments:
        wished: the engine that the user named; a bundle brings its own.

    Raises:
        BundleError: it is damaged. ModelError: it is for another task. UsageError: another engine was named.
    """
    if wished != EngineNeed("onnxruntime", ""):
        raise UsageError(
            f"{path} is a bundle, which names its engine and options itself.",
            hint="Leave yours out, or give a model file.",
        )
    bundle = open_bundle(path)
    if bundle.manifest.task != task:
        raise ModelError(
            f"{path} is a bundle for the task {bundle.manifest.task!r}.", hint=f"Use one for {task}."
        )
    return bundle


def open_file(path: Path, need: EngineNeed, threads: int) -> Engine:
    """Open a model file of any format that `edgeproof import` reads, or that the engine has as its own.

    Raises:
        NotFoundError, ModelError, EngineError: it can't be used.
    """
    # The other engines take files of formats of their own, and say which.
    if path.suffix.lower() == ".onnx" or need.name != "onnxruntime" or not path.exists():
        return open_engine(path, engine=need.name, device=need.device, threads=threads, options=need.options)
    from edgeproof.formats.onnx import (
        one_onnx_file,  # a device, which has the .onnx file or a bundle, never does
    )

    with TemporaryDirectory(prefix="edgeproof-") as folder:
        return open_file(one_onnx_file(path, Path(folder)), need, threads)
