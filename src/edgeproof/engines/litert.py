"""LiteRT (TensorFlow Lite) on the processor.

A quantised network takes and gives float32: its own scale and zero point are applied at the edges,
real = scale * (integer - zero point) (https://ai.google.dev/edge/litert/models/quantization_spec).
The library says "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." on standard error, once in a process; from
Python it can't be asked not to (ai-edge-litert 2.3).

Options:
    raw: true keeps the integers as the file has them; false by default.
    xnnpack: false runs the reference kernels instead of XNNPACK's; true by default.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EngineError, InputError, ModelError
from edgeproof.core.extras import require
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.model_file import model_file, short_reason

_DEFAULTS: dict[str, Value] = {"raw": False, "xnnpack": True}
_DTYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


class Edge(NamedTuple):
    """An input or output as the interpreter has it; scale 0 where nothing is quantised."""

    spec: TensorSpec
    place: int
    dtype: str
    scale: float
    zero: int


def open_model(path: str, device: str, threads: int, options: Options) -> LiteRt:
    """Open a .tflite file; see `edgeproof.engines.open_engine`, and the module's text for the options."""
    library = require("ai_edge_litert.interpreter", extra="litert", purpose="The litert engine")
    if device != "cpu":
        raise EngineError(f"The litert engine can't run on {device!r}.", hint="It knows: cpu.")
    chosen = with_defaults(options, _DEFAULTS, whose="litert engine")
    file = model_file(path)
    resolver = (
        library.OpResolverType.AUTO
        if chosen["xnnpack"]
        else library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = library.Interpreter(
            str(file), num_threads=threads, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    except Exception as error:  # ValueError for a broken file, RuntimeError for an operator it lacks
        raise ModelError(
            f"{path} can't be opened by LiteRT: {short_reason(error)}",
            hint="It must be a whole .tflite file, with operators that this version of LiteRT has.",
        ) from error
    release_free_memory()
    return LiteRt(interpreter, threads, raw=bool(chosen["raw"]))


def _version() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")


def _signature_names(interpreter: Any) -> tuple[dict[int, str], dict[int, str]]:
    # Converters write "serving_default_images:0" as the tensor's name, and "images" in the signature.
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:
        return {}, {}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    return (
        {int(detail["index"]): name for name, detail in runner.get_input_details().items()},
        {int(detail["index"]): name for name, detail in runner.get_output_details().items()},
    )


def _edge(detail: dict[str, Any], names: dict[int, str], *, raw: bool) -> Edge:
    name = names.get(int(detail["index"]), detail["name"])
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in _DTYPES:
        raise ModelError(f"Tensor {name!r} is of type {dtype}.", hint=f"Supported: {', '.join(_DTYPES)}.")
    sizes = [int(size) for size in detail["shape_signature" if len(detail["shape_signature"]) else "shape"]]
    shape = tuple((f"d{axis}" if axis else "N") if size < 0 else size for axis, size in enumerate(sizes))
    scale, zero = detail["quantization"]
    quantised = scale > 0 and dtype in ("int8", "uint8", "int16") and not raw
    return Edge(
        TensorSpec(name, shape, "float32" if quantised else dtype),
        int(detail["index"]),
        dtype,
        float(scale) if quantised else 0.0,
        int(zero),
    )


class LiteRt:
    """An open .tflite file. Runs are answered one after another: an interpreter has one set of tensors."""

    def __init__(self, interpreter: Any, threads: int, *, raw: bool) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        given, made = _signature_names(interpreter)
        self._in = [_edge(one, given, raw=raw) for one in interpreter.get_input_details()]
        self._out = [_edge(one, made, raw=raw) for one in interpreter.get_output_details()]
        self._shapes: list[tuple[int, ...]] = [
            tuple(map(int, one["shape"])) for one in interpreter.get_input_details()
        ]
        self.inputs = tuple(edge.spec for edge in self._in)
        self.outputs = tuple(edge.spec for edge in self._out)
        delegated = any(one["op_name"] == "DELEGATE" for one in interpreter._get_ops_details())
        provider = "XNNPACK" if delegated else "CPU"
        self.info = EngineInfo("litert", _version(), provider, threads, thread_safe=True)

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once; a batch of another size than the last one's makes the interpreter plan its memory again.

        Raises:
            InputError: the feeds don't fit, or hold NaN where the network is quantised.
            EngineError: the engine is closed, or the runtime failed.
        """
        if self._interpreter is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        stored = [_quantise(edge, np.asarray(feeds[edge.spec.name])) for edge in self._in]
        with self._lock:
            interpreter = self._interpreter
            if interpreter is None:
                raise EngineError("The engine was closed meanwhile.", hint="Close it when no run is left.")
            try:
                answers = self._invoke(interpreter, stored)
            except Exception as error:
                self._shapes = []  # whatever was being changed, the next run starts from a plan of its own
                raise EngineError(
                    f"LiteRT failed: {short_reason(error)}", hint="Check the network with `edgeproof check`."
                ) from error
        return {
            edge.spec.name: _dequantise(edge, array) for edge, array in zip(self._out, answers, strict=True)
        }

    def _invoke(self, interpreter: Any, stored: list[Array]) -> list[Array]:
        shapes = [array.shape for array in stored]
        if shapes != self._shapes:
            for edge, shape in zip(self._in, shapes, strict=True):
                interpreter.resize_tensor_input(edge.place, shape)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for edge, array in zip(self._in, stored, strict=True):
            interpreter.set_tensor(edge.place, array)
        interpreter.invoke()
        return [interpreter.get_tensor(edge.place) for edge in self._out]

    def close(self) -> None:
        """Free the interpreter; closing twice is allowed."""
        with self._lock:
            self._interpreter = None

    def __enter__(self) -> LiteRt:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _quantise(edge: Edge, array: Array) -> Array:
    if not edge.scale:
        return array
    limits = np.iinfo(edge.dtype)
    steps = np.rint(array / np.float32(edge.scale)) + edge.zero
    if np.isnan(steps).any():
        raise InputError(
            f"Input {edge.spec.name!r} holds NaN, which has no integer in a quantised network.",
            hint="Check how the picture was prepared.",
        )
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(edge.dtype))


def _dequantise(edge: Edge, array: Array) -> Array:
    if not edge.scale:
        return array
    return np.asarray((array.astype(np.float32) - np.float32(edge.zero)) * np.float32(edge.scale))
