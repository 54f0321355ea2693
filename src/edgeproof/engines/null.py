"""No hardware, no library: deterministic outputs and programmable delays, so that all else can be tested.

Its model file is JSON:

    {"inputs": [{"name": "x", "shape": ["N", 3], "dtype": "float32"}],
     "outputs": [{"name": "y", "shape": ["N", 4], "dtype": "float32"}],
     "delay_ms": [2, 2, 9], "allocate_mb": 0, "leak_bytes": 0, "crash_after": null, "fail_runs": [5]}

Run i waits `delay_ms[i % len]`, and fails where i is among `fail_runs`. Each output row repeats the mean of the
first input's row, scaled by the column's number, so equal inputs give equal outputs and different ones differ.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.core.errors import EngineError, ModelError
from edgeproof.core.files import storage_error
from edgeproof.core.options import Options, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds

_MAX_BYTES = 1 << 20


class NullTensor(msgspec.Struct, forbid_unknown_fields=True):
    """A tensor in the model file."""

    name: str
    shape: list[int | str]
    dtype: str = "float32"

    def spec(self) -> TensorSpec:
        """The same as a TensorSpec."""
        return TensorSpec(self.name, tuple(self.shape), self.dtype)


class NullModel(msgspec.Struct, forbid_unknown_fields=True):
    """The model file."""

    inputs: list[NullTensor]
    outputs: list[NullTensor]
    delay_ms: list[float] = msgspec.field(default_factory=lambda: [0.0])
    allocate_mb: float = 0
    leak_bytes: int = 0
    crash_after: int | None = None
    fail_runs: list[int] = msgspec.field(default_factory=list)


def open_model(path: str, device: str, threads: int, options: Options) -> Null:
    """Open a null model; see `edgeproof.engines.open_engine`."""
    if device != "cpu":
        raise EngineError(f"The null engine can't run on {device!r}.", hint="It knows: cpu.")
    with_defaults(options, {}, whose="null engine")
    try:
        if Path(path).stat().st_size > _MAX_BYTES:
            raise ModelError(
                f"{path} is larger than {_MAX_BYTES} bytes.", hint="A null model is a little JSON."
            )
        model = msgspec.json.decode(Path(path).read_bytes(), type=NullModel)
        if not model.inputs or not model.outputs or not model.delay_ms:
            raise ModelError(f"{path} has no inputs, outputs or delays.", hint="Give at least one of each.")
        return Null(model, threads)
    except OSError as error:
        raise storage_error(path, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:
        raise ModelError(
            f"{path} is not a null model: {error}.", hint="See edgeproof.engines.null."
        ) from error


class Null:
    """An open null model."""

    def __init__(self, model: NullModel, threads: int) -> None:
        self._model: NullModel | None = model
        self._lock = threading.Lock()
        self._runs = 0
        self._held: list[Any] = [np.ones(int(model.allocate_mb * 1e6), dtype=np.uint8)]
        self.inputs = tuple(tensor.spec() for tensor in model.inputs)
        self.outputs = tuple(tensor.spec() for tensor in model.outputs)
        self.info = EngineInfo("null", "1", "none", threads, thread_safe=True)

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Wait as the model file says, then answer."""
        model = self._model
        if model is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        with self._lock:
            count = self._runs
            self._runs += 1
        if model.crash_after is not None and count >= model.crash_after:
            os.abort()
        if count in model.fail_runs:
            raise EngineError(f"Run {count} failed, as its model file says.", hint="Open it again.")
        if model.leak_bytes:
            self._held.append(bytearray(model.leak_bytes))
        time.sleep(model.delay_ms[count % len(model.delay_ms)] / 1e3)
        first = np.asarray(feeds[self.inputs[0].name], dtype=np.float64)
        means = first.reshape(len(first), -1).mean(axis=1) if first.ndim else first.reshape(1)
        return {spec.name: _answer(spec, means) for spec in self.outputs}

    def close(self) -> None:
        """Free what it holds; closing twice is allowed."""
        self._model = None
        self._held.clear()

    def __enter__(self) -> Null:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _answer(spec: TensorSpec, means: np.ndarray[Any, np.dtype[np.float64]]) -> Array:
    shape = [size if isinstance(size, int) else len(means) for size in spec.shape]
    columns = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    rows = means[: shape[0], None] * np.arange(1, columns + 1)
    return np.resize(rows, shape).astype(spec.dtype)
