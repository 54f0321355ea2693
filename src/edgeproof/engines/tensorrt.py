"""TensorRT 10 and 11 on an NVIDIA GPU: cuda, cuda:1, ... Written to NVIDIA's documentation; not verified on hardware.

It takes an .onnx file, which it builds a plan from, and a .plan (or .engine) with its NAME.plan.json beside it, which
runs on the TensorRT and GPU that it was built for, and is refused elsewhere. A plan is a program: open your own only.

Options:
    precision: "f32" (default) keeps the types that the network has, TF32 off; "f16" lets TensorRT 10 choose half
        precision (11 has no such switch); "int8" is for networks with QuantizeLinear.
    profile: the smallest, the usual and the largest shape of each input with free sizes:
        "x=1x3x224x224:4x3x224x224:8x3x224x224", inputs with a comma between.
    cache: a folder where built plans are kept; "" (default): none, each opening builds anew.
    timing_cache: a file that makes the next build quicker; "" (default): none.
    workspace_mb: the most scratch memory of a layer; 0 (default) leaves it to TensorRT.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError, EngineError, InputError, ModelError
from edgeproof.core.files import storage_error
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.cuda import CudaBuffers, cuda_runtime, device_number
from edgeproof.engines.model_file import model_file
from edgeproof.engines.shapes import check_symbols
from edgeproof.engines.tensorrt_build import Recipe, build, build_plan, described, import_tensorrt, reporter
from edgeproof.engines.tensorrt_plan import check_plan, fingerprint, write_plan

__all__ = ["TensorRt", "build_plan", "open_model"]

_DEVICES = ("cuda", "cuda:N")
_DEFAULTS: dict[str, Value] = {
    "precision": "f32",
    "profile": "",
    "cache": "",
    "timing_cache": "",
    "workspace_mb": 0,
}
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def open_model(path: str, device: str, threads: int, options: Options) -> TensorRt:
    """Open an .onnx file or a plan; see `edgeproof.engines.open_engine`. `threads` means nothing to a GPU."""
    del threads
    trt, runtime = import_tensorrt(), cuda_runtime()
    number = device_number(runtime, device)
    chosen = with_defaults(options, _DEFAULTS, whose="tensorrt engine")
    file = model_file(path, (".onnx", ".plan", ".engine"), whose="the tensorrt engine")
    buffers = CudaBuffers(runtime, number)  # makes the GPU the one that plans are built for and opened on
    try:
        if file.suffix.lower() == ".onnx":
            data, precision = _built(trt, runtime, number, file, chosen), str(chosen["precision"])
        else:
            check_plan(file, fingerprint(trt, runtime, number))
            data, precision = file.read_bytes(), "as built"
        log = reporter(trt)
        engine = trt.Runtime(log).deserialize_cuda_engine(data)
        context = engine.create_execution_context() if engine is not None else None
        if context is None:
            raise EngineError(
                f"TensorRT can't open {path}: {log.reason()}.",
                hint="Build it again from its ONNX file; with memory running out it fails in the same way.",
            )
        return TensorRt(trt, engine, context, buffers, device, precision)
    except OSError as error:
        buffers.close()
        raise storage_error(file, error) from error
    except BaseException:
        buffers.close()
        raise


def _built(trt: Any, runtime: Any, number: int, model: Path, chosen: Options) -> bytes:
    """A plan of an .onnx file: from the cache where there is one that fits, else built."""
    recipe = Recipe(str(chosen["precision"]), str(chosen["profile"]), int(chosen["workspace_mb"]))
    timing = Path(str(chosen["timing_cache"])) if chosen["timing_cache"] else None
    if not chosen["cache"]:
        return build(trt, model, recipe, timing_cache=timing, say=lambda _: None)
    import hashlib  # brings OpenSSL with it, see core.files.sha256_of

    told = described(trt, runtime, number, model, recipe)
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    plan = Path(str(chosen["cache"])) / f"{model.stem}.{key}.plan"
    try:
        if plan.is_file():
            check_plan(plan, told)
            return plan.read_bytes()
    except EdgeproofError:
        pass  # damaged, or of another machine: it is built again, and replaced
    except OSError as error:
        raise storage_error(plan, error) from error
    data = build(trt, model, recipe, timing_cache=timing, say=lambda _: None)
    write_plan(plan, data, told)
    return data


class TensorRt:
    """An open plan; runs from several threads wait for each other, as they share its memory on the GPU."""

    def __init__(
        self, trt: Any, engine: Any, context: Any, buffers: CudaBuffers, device: str, precision: str
    ) -> None:
        self._engine, self._context, self._buffers = engine, context, buffers
        self._lock = threading.Lock()
        names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
        goes_in = {name: engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        self.inputs = tuple(_spec(engine, name) for name in names if goes_in[name])
        self.outputs = tuple(_spec(engine, name) for name in names if not goes_in[name])
        self.info = EngineInfo("tensorrt", str(trt.__version__), device, 1, True, precision)

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once.

        Raises:
            InputError: the feeds don't fit, or are outside of the profile.
            EngineError: the engine is closed, or the runtime failed.
        """
        check_feeds(self.inputs, feeds)
        check_symbols(self.inputs, feeds)
        with self._lock:
            if self._context is None:
                raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
            self._buffers.select()
            return self._run(feeds)

    def _run(self, feeds: Tensors) -> dict[str, Array]:
        context, buffers = self._context, self._buffers
        arrays = {spec.name: np.ascontiguousarray(feeds[spec.name]) for spec in self.inputs}
        for name, array in arrays.items():
            self._check_profile(name, array.shape)
            if not context.set_input_shape(name, array.shape):
                raise InputError(
                    f"TensorRT refuses the shape {list(array.shape)} for {name!r}.", hint="Check the profile."
                )
            context.set_tensor_address(name, buffers.send(name, array))
        found: dict[str, Array] = {}
        for spec in self.outputs:
            shape = tuple(context.get_tensor_shape(spec.name))
            if min(shape, default=0) < 0:
                raise EngineError(
                    f"The shape of the output {spec.name!r} depends on what comes in.",
                    hint="End the network before that step, and do it on the answers in numpy.",
                )
            found[spec.name] = np.empty(shape, spec.dtype)
            context.set_tensor_address(spec.name, buffers.reserve(spec.name, found[spec.name].nbytes))
        if not context.execute_async_v3(buffers.stream):
            raise EngineError(
                "TensorRT can't run the network.", hint="Look at what else uses the GPU's memory."
            )
        for name, array in found.items():
            buffers.fetch(name, array)
        buffers.wait()
        return found

    def _check_profile(self, name: str, shape: tuple[int, ...]) -> None:
        if -1 not in tuple(self._engine.get_tensor_shape(name)):
            return
        low, _, high = (tuple(one) for one in self._engine.get_tensor_profile_shape(name, 0))
        if any(not least <= size <= most for least, size, most in zip(low, shape, high, strict=True)):
            raise InputError(
                f"Input {name!r} has shape {list(shape)}; the plan was built for {list(low)} to {list(high)}.",
                hint="Build it again with a wider profile.",
            )

    def close(self) -> None:
        """Free the GPU's memory; closing twice is allowed."""
        with self._lock:
            if self._context is not None:
                self._context = self._engine = None
                self._buffers.close()

    def __enter__(self) -> TensorRt:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _spec(engine: Any, name: str) -> TensorSpec:
    kind = str(engine.get_tensor_dtype(name)).rpartition(".")[2]
    if kind not in _DTYPES:
        raise ModelError(
            f"Tensor {name!r} is of type {kind}.", hint=f"Supported: {', '.join(_DTYPES.values())}."
        )
    sizes = (
        ("d" + str(axis) if axis else "N") if size < 0 else int(size)
        for axis, size in enumerate(engine.get_tensor_shape(name))
    )
    return TensorSpec(name, tuple(sizes), _DTYPES[kind])
