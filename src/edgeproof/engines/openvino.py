"""OpenVINO on the processor, and on Intel's GPU and NPU (those two: not verified on hardware).

Options:
    precision: "f32" (default), "bf16" or "f16": what floating-point layers compute in. OpenVINO's own
        default is the fastest that the processor has (bf16 on one with AMX), which changes results.
    hint: "" (default): a run takes `threads` threads, and as many callers as there are cores for it (8 at the
        most) run side by side. "latency": callers take turns on all `threads`. "throughput": OpenVINO lays out
        its streams itself, over all cores; `threads` doesn't count. Each caller has its own asynchronous request.
    fixed_shape: "N=1" or "N=1,height=640,width=640": symbolic sizes that are known, which makes runs quicker; "" by
        default. The sizes of an IR file are called N (the first) and d1, d2, d3.
    profile: the beginning of a file's name: what each node took is written there as JSON (chrome://tracing reads it)
        when the network is closed; "" (none) by default.
    cache: a folder where compiled networks are kept, so that the next opening is quick; "" (default): none.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EngineError, ModelError, UsageError
from edgeproof.core.extras import require_openvino
from edgeproof.core.files import check_writable, storage_error, write_atomically
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.devices.host import usable_cores
from edgeproof.engines.model_file import model_file, short_reason
from edgeproof.engines.onnx_signature import read_signature
from edgeproof.engines.shapes import Shape, check_symbols, known_sizes

_DEVICES = ("cpu", "gpu", "npu", "auto")
_DEFAULTS: dict[str, Value] = {"precision": "f32", "hint": "", "fixed_shape": "", "cache": "", "profile": ""}
_MOST_STREAMS = 8  # each keeps its own activations
_MOST_COUNTED = 200_000  # nodes of all runs that a profile keeps, the last ones
_CHOICES = {"precision": ("f32", "bf16", "f16"), "hint": ("", "latency", "throughput")}
_DTYPES = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i8": "int8",
    "u8": "uint8",
    "boolean": "bool",
}


def open_model(path: str, device: str, threads: int, options: Options) -> OpenVino:
    """Open an .onnx file or an OpenVINO IR (.xml, with its .bin beside it).

    See `edgeproof.engines.open_engine`; the options are in the module's text.
    """
    openvino = require_openvino("The openvino engine")
    core = openvino.Core()
    _check_device(device, core.available_devices)
    chosen = with_defaults(options, _DEFAULTS, whose="openvino engine")
    for name, allowed in _CHOICES.items():
        if chosen[name] not in allowed:
            raise UsageError(
                f"The option {name} of the openvino engine is {chosen[name]!r}.",
                hint=f"Use one of: {', '.join(map(repr, allowed))}.",
            )
    file = model_file(path, (".onnx", ".xml"), whose="the openvino engine")
    settings = {
        "INFERENCE_PRECISION_HINT": chosen["precision"],
        **_layout(device, threads, str(chosen["hint"])),
    }
    if chosen["cache"]:
        settings["CACHE_DIR"] = chosen["cache"]
    if chosen["profile"]:
        check_writable(str(chosen["profile"]))
        settings["PERF_COUNT"] = "YES"
    model = _read(core, file)
    symbols = _symbols(file)
    _fix(model, symbols, str(chosen["fixed_shape"]))
    compiled = _compile(core, model, file, device.upper(), settings)
    if device == "cpu":  # it takes no more than there are cores
        streams = max(1, int(compiled.get_property("NUM_STREAMS")))
        threads = max(1, int(compiled.get_property("INFERENCE_NUM_THREADS")) // streams)
    release_free_memory()
    precision = str(chosen["precision"])
    if device != "auto":  # what it really took; AUTO doesn't tell
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return OpenVino(compiled, threads, precision, openvino.__version__, symbols, str(chosen["profile"]))


def _layout(device: str, threads: int, hint: str) -> dict[str, Any]:
    """How runs share the cores, as OpenVINO's settings."""
    if hint or device != "cpu":
        layout: dict[str, Any] = {"PERFORMANCE_HINT": (hint or "latency").upper()}
        return layout | ({"INFERENCE_NUM_THREADS": threads} if device == "cpu" and hint == "latency" else {})
    streams = min(_MOST_STREAMS, max(1, usable_cores() // threads))
    return {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams * threads}


def _symbols(file: Path) -> dict[str, Shape]:
    # OpenVINO forgets what an ONNX file calls its symbolic sizes, and so which of them are the same.
    if file.suffix.lower() != ".onnx":
        return {}
    try:
        return {spec.name: spec.shape for spec in read_signature(file)[0]}
    except OSError as error:
        raise storage_error(file, error) from error


def _check_device(device: str, available: list[str]) -> None:
    if device not in _DEVICES:
        raise EngineError(
            f"The openvino engine can't run on {device!r}.", hint=f"Devices it knows: {', '.join(_DEVICES)}."
        )
    here = sorted({name.partition(".")[0].lower() for name in available})
    if device != "auto" and device not in here:
        raise EngineError(
            f"OpenVINO finds no {device!r} on this machine.",
            hint=f"It finds: {', '.join(here)}. A GPU or NPU needs Intel's driver for it.",
        )


def _read(core: Any, file: Path) -> Any:
    try:
        return core.read_model(str(file))
    except Exception as error:  # RuntimeError mostly; a frontend may let others through
        raise ModelError(
            f"{file} can't be opened by OpenVINO: {short_reason(error)}",
            hint="The file may be cut short or of an unsupported opset; an .xml needs its .bin beside it.",
        ) from error


def _fix(model: Any, symbols: Mapping[str, Shape], text: str) -> None:
    if not text:
        return
    inputs = [(port, _spec(port, symbols, "N")) for port in model.inputs]
    sizes = known_sizes(text, [spec for _, spec in inputs])
    shapes = {port: [sizes.get(str(size), size) for size in spec.shape] for port, spec in inputs}
    try:
        model.reshape(
            {
                port: [size if isinstance(size, int) else -1 for size in shape]
                for port, shape in shapes.items()
            }
        )
    except Exception as error:
        raise EngineError(
            f"OpenVINO can't fix the sizes {text}: {short_reason(error)}", hint="Leave fixed_shape out."
        ) from error


def _compile(core: Any, model: Any, file: Path, device: str, settings: dict[str, Any]) -> Any:
    try:
        return core.compile_model(model, device, settings)
    except Exception as error:
        raise EngineError(
            f"OpenVINO can't compile {file} for {device}: {short_reason(error)}",
            hint="Try the cpu device, precision f32, and the onnxruntime engine to see which of them it is.",
        ) from error


def _spec(port: Any, symbols: Mapping[str, Shape], batch: str) -> TensorSpec:
    # A tensor can carry several names after layers were merged; the node's own is the one in the model file.
    names = port.get_names()
    own = port.get_node().get_friendly_name().partition("/sink_port_")[0]
    name = own if own in names or not names else min(names)
    kind = port.get_element_type().get_type_name()
    if kind not in _DTYPES:
        raise ModelError(
            f"Tensor {name!r} is of type {kind}.", hint=f"Supported: {', '.join(_DTYPES.values())}."
        )
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise ModelError(
            f"Tensor {name!r} has no fixed number of axes.", hint="Export the network with known ranks."
        )
    named = [size if isinstance(size, str) else "" for size in symbols.get(name, ())] or [""] * len(shape)
    sizes = [
        (named[axis] or (f"d{axis}" if axis else batch)) if size.is_dynamic else int(size.get_length())
        for axis, size in enumerate(shape)
    ]
    return TensorSpec(name, tuple(sizes), _DTYPES[kind])


def _counted(node: Any) -> dict[str, Any]:
    """A node's counters of one run, as ONNX Runtime writes them: microseconds."""
    return {
        "cat": "Node",
        "ph": "X",
        "name": node.node_name,
        "dur": node.real_time.total_seconds() * 1e6,
        "args": {"op_name": node.node_type, "provider": node.exec_type},
    }


class OpenVino:
    """A network compiled by OpenVINO."""

    def __init__(
        self,
        compiled: Any,
        threads: int,
        precision: str,
        version: str,
        symbols: Mapping[str, Shape],
        profile: str = "",
    ) -> None:
        self._compiled = compiled
        self._profile, self._counted = profile, deque[dict[str, Any]](maxlen=_MOST_COUNTED)
        # One request serves one thread at a time: as many are made as threads meet here, and used again.
        self._idle: deque[Any] = deque()
        self.inputs = tuple(_spec(port, symbols, "N") for port in compiled.inputs)
        batch = next((str(one.shape[0]) for one in self.inputs if isinstance((*one.shape, 1)[0], str)), "N")
        self.outputs = tuple(_spec(port, {}, batch) for port in compiled.outputs)
        provider = ",".join(compiled.get_property("EXECUTION_DEVICES"))
        self.info = EngineInfo("openvino", version, provider, threads, thread_safe=True, precision=precision)

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once.

        Raises:
            InputError: the feeds don't fit.
            EngineError: the engine is closed, or the runtime failed.
        """
        compiled = self._compiled
        if compiled is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        check_symbols(self.inputs, feeds)  # OpenVINO would answer for the smaller batch and say nothing
        try:
            request = self._idle.pop()
        except IndexError:
            request = compiled.create_infer_request()
        try:
            found = request.infer([feeds[spec.name] for spec in self.inputs])  # copies the outputs
        except Exception as error:
            raise EngineError(
                f"OpenVINO failed: {short_reason(error)}", hint="Check the network with `edgeproof check`."
            ) from error
        if self._profile:
            self._counted.extend(map(_counted, request.profiling_info))
        answers = {
            spec.name: found[index].astype(spec.dtype, copy=False) for index, spec in enumerate(self.outputs)
        }
        if self._compiled is not None:
            self._idle.append(request)
        return answers

    def close(self) -> None:
        """Free the network and its requests, and write its profile if asked for; closing twice is allowed."""
        compiled, self._compiled = self._compiled, None
        self._idle.clear()
        if compiled is not None and self._profile:
            write_atomically(f"{self._profile}.json", json.dumps(list(self._counted)).encode())

    def __enter__(self) -> OpenVino:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
