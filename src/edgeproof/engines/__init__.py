"""One file for each runtime, found by name and imported on use.

A row of `ENGINES` names a function `open_model(path, device, threads, options) -> Engine`. To add an engine: one
file, one row, and the conformance suite in tests/engines runs against it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from edgeproof.core.errors import NotFoundError, UsageError
from edgeproof.core.options import Options
from edgeproof.core.registry import Registry

if TYPE_CHECKING:
    from edgeproof.core.protocols import Engine  # who only asks which engines there are does without numpy

ENGINES = Registry(
    "engine",
    {
        "onnxruntime": "edgeproof.engines.onnxruntime:open_model",
        "openvino": "edgeproof.engines.openvino:open_model",
        "litert": "edgeproof.engines.litert:open_model",
        "opencv": "edgeproof.engines.opencv:open_model",
        "ncnn": "edgeproof.engines.ncnn:open_model",
        "null": "edgeproof.engines.null:open_model",
        "tensorrt": "edgeproof.engines.tensorrt:open_model",
        "torch": "edgeproof.engines.torch:open_model",
    },
)


def open_engine(
    model: str | os.PathLike[str],
    *,
    engine: str = "onnxruntime",
    device: str = "cpu",
    threads: int = 1,
    options: Options | None = None,
) -> Engine:
    """Open a model file in a runtime; use it as a context manager, or call `close()`.

    Arguments:
        model: path of the model file.
        engine: a name of `ENGINES`.
        device: where it must run; no other is used silently.
        threads: threads inside one run, 1 or more.
        options: what the engine can do beyond that, by name; each engine's module lists its own.

    Raises:
        UnknownNameError: no engine of that name, or it has no such option.
        EngineError: the engine can't run on that device here.
        NotFoundError: there is no such file.
        ModelError: the file can't be read as a network.
    """
    if threads < 1:
        raise UsageError(f"threads is {threads}.", hint="Use 1 or more; one thread a core at the most.")
    path = os.fspath(model)
    if "\0" in path:  # the system's calls raise ValueError for it
        raise NotFoundError(f"{path!r} isn't a path.", hint="Check the spelling of the path.")
    opened = cast("Engine", ENGINES.load(engine)(path, device, threads, options or {}))
    for watch in _WATCHES:
        opened = watch(opened)
    return opened


_WATCHES: list[Callable[[Engine], Engine]] = []


def watch_engines(watch: Callable[[Engine], Engine]) -> None:
    """Hand every engine that this process opens from here on through `watch`, as measuring processes do.

    Arguments:
        watch: gives an engine that does the same, and looks on.
    """
    _WATCHES.append(watch)
