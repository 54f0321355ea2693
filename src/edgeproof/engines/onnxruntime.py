"""ONNX Runtime on the processor."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EngineError, ModelError, NotFoundError
from edgeproof.core.options import Options, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds

_PROVIDERS = {"cpu": "CPUExecutionProvider"}
_MAX_BYTES = 2 << 30  # protobuf's own limit for one message
_NOISE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|Load model from .*? failed:"
    r"|/onnxruntime_src/\S+:\d+ .*?\)(?: const)? (?=[A-Z])"
)
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


def open_model(path: str, device: str, threads: int, options: Options) -> OnnxRuntime:
    """Open an .onnx file; see `edgeproof.engines.open_engine`."""
    if device not in _PROVIDERS:
        raise EngineError(
            f"The onnxruntime engine can't run on {device!r}.",
            hint=f"Devices it knows: {', '.join(_PROVIDERS)}.",
        )
    with_defaults(options, {}, whose="onnxruntime engine")
    return OnnxRuntime(_load(path, _PROVIDERS[device], threads), threads)


def _load(path: str, provider: str, threads: int) -> Any:
    import onnxruntime

    size = Path(path).stat().st_size if Path(path).is_file() else None
    if size is None:
        raise NotFoundError(f"There is no model file {path}.", hint="Check the spelling of the path.")
    if not 0 < size <= _MAX_BYTES:
        raise ModelError(
            f"{path} has {size} bytes.",
            hint="A model file has at least one byte and at most 2 GB: fetch it again.",
        )
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = (
        False  # no faster here, and each of the threads that share a session keeps 10 MB
    )
    if _small_arena():
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4  # what it logs as errors also comes as exceptions, which we translate
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # the library raises a dozen unrelated types, one for each status code
        raise ModelError(
            f"{path} can't be opened by ONNX Runtime: {_reason(error)}",
            hint="The file may be cut short or of an unsupported opset: check where it came from.",
        ) from error
    release_free_memory()
    return session


@functools.cache
def _small_arena() -> bool:
    """Give this process an arena that grows by 4 MB at the most; False where somebody gave it another already.

    By default each step doubles the last one: two threads in one network then hold 25 to 33 MB for
    activations of 18, against 21 MB so, at the same speed (orientation network, ONNX Runtime 1.31).
    """
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 0, "max_power_of_two_extend_bytes": 4 << 20})
    try:
        onnxruntime.create_and_register_allocator(memory, arena)
    except Exception:  # one of the library's many types; the program around us has set its own
        return False
    return True


def _reason(error: Exception) -> str:
    """What the library says went wrong, without its codes, its source lines and its signatures."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    reason = _NOISE.sub("", line).strip() or line
    return reason if len(reason) <= 300 else reason[:297] + "..."


def _spec(value: Any) -> TensorSpec:
    if value.type not in _DTYPES:
        raise ModelError(
            f"Tensor {value.name!r} is of type {value.type}.",
            hint=f"Supported: {', '.join(_DTYPES.values())}.",
        )
    shape = tuple(size if isinstance(size, int) else str(size or "?") for size in value.shape)
    return TensorSpec(value.name, shape, _DTYPES[value.type])


class OnnxRuntime:
    """An open ONNX Runtime session."""

    def __init__(self, session: Any, threads: int) -> None:
        import onnxruntime

        self._session = session
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())
        self._names = [spec.name for spec in self.outputs]
        self.info = EngineInfo(
            name="onnxruntime",
            version=onnxruntime.__version__,
            provider=session.get_providers()[0],
            threads=threads,
            thread_safe=True,
        )

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once.

        Raises:
            InputError: the feeds don't fit.
            EngineError: the engine is closed, or the runtime failed.
        """
        session = self._session
        if session is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        try:
            return dict(zip(self._names, session.run(self._names, dict(feeds)), strict=True))
        except Exception as error:
            raise EngineError(
                f"ONNX Runtime failed: {_reason(error)}", hint="Check the network with `edgeproof check`."
            ) from error

    def close(self) -> None:
        """Free the session; closing twice is allowed."""
        self._session = None

    def __enter__(self) -> OnnxRuntime:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
