"""ONNX Runtime: on the processor, and through its execution providers (those: not verified on hardware).

Devices: cpu, xnnpack, cuda, tensorrt, openvino, cann (Ascend), qnn (Qualcomm), coreml, rocm. A device is strict: where
its provider isn't there, or would leave nodes to the processor, opening fails.

Options:
    arena: false gives each activation back to the system instead of keeping it in a pool; true by default.
    graph_level: how far the graph is rewritten: "all" (default), "extended", "basic" or "off".
    cpu_fallback: true lets the processor run the nodes that the device's provider can't, and `info.provider` names
        them; false by default: then opening fails and names them.
    fixed_shape: "N=1" or "N=1,height=640,width=640": symbolic sizes that are known, which lets more of the graph be
        worked out beforehand; "" by default.
    profile: the beginning of a file's name: what each node took is written there as JSON (chrome://tracing reads it)
        when the engine is closed; "" (none) by default.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EngineError, ModelError, UsageError
from edgeproof.core.files import check_writable
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.model_file import model_file
from edgeproof.engines.onnx_padding import zeros_reach_pool
from edgeproof.engines.onnx_signature import read_signature
from edgeproof.engines.shapes import known_sizes

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cann": "CANNExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
_BROUGHT_BY = {
    "xnnpack": "a build of ONNX Runtime with --use_xnnpack",
    "cuda": "the Python package onnxruntime-gpu in place of onnxruntime, and CUDA with cuDNN",
    "tensorrt": "the Python package onnxruntime-gpu in place of onnxruntime, and TensorRT",
    "openvino": "the Python package onnxruntime-openvino in place of onnxruntime",
    "cann": "the Python package onnxruntime-cann in place of onnxruntime, and the CANN toolkit",
    "qnn": "the Python package onnxruntime-qnn",
    "coreml": "the Python package onnxruntime on macOS",
    "rocm": "the Python package onnxruntime-rocm in place of onnxruntime, and ROCm",
}
_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "off": "ORT_DISABLE_ALL",
}
_DEFAULTS: dict[str, Value] = {
    "arena": True,
    "graph_level": "all",
    "cpu_fallback": False,
    "fixed_shape": "",
    "profile": "",
}
_NAMED = 8  # nodes in a message; of more, the number is told
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
    _check_device(device)
    chosen = with_defaults(options, _DEFAULTS, whose="onnxruntime engine")
    if chosen["graph_level"] not in _LEVELS:
        raise UsageError(
            f"The option graph_level of the onnxruntime engine is {chosen['graph_level']!r}.",
            hint=f"Use one of: {', '.join(_LEVELS)}.",
        )
    model_file(path)
    session = _load(path, PROVIDERS[device], threads, chosen)
    return OnnxRuntime(session, threads, _strangers(session, PROVIDERS[device]), bool(chosen["profile"]))


def _check_device(device: str) -> None:
    import onnxruntime

    if device not in PROVIDERS:
        raise EngineError(
            f"The onnxruntime engine can't run on {device!r}.",
            hint=f"Devices it knows: {', '.join(PROVIDERS)}.",
        )
    available = onnxruntime.get_available_providers()
    if PROVIDERS[device] not in available:
        here = [name for name, provider in PROVIDERS.items() if provider in available]
        raise EngineError(
            f"This ONNX Runtime can't run on {device!r}: it was built without {PROVIDERS[device]}.",
            hint=f"It comes with {_BROUGHT_BY[device]}. Devices here: {', '.join(here)}.",
        )


def _load(path: str, provider: str, threads: int, chosen: Options) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = (
        False  # no faster here, and each of the threads that share a session keeps 10 MB
    )
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _LEVELS[str(chosen["graph_level"])]
    )
    options.enable_cpu_mem_arena = bool(chosen["arena"])
    if provider != PROVIDERS["cpu"]:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if not chosen["cpu_fallback"] and not _tells_assignment():
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if chosen["fixed_shape"]:  # the library would pass over names that the network hasn't in silence
        for name, size in known_sizes(str(chosen["fixed_shape"]), read_signature(Path(path))[0]).items():
            options.add_free_dimension_override_by_name(name, size)
    if chosen["profile"]:
        check_writable(str(chosen["profile"]))
        options.enable_profiling = True
        options.profile_file_prefix = str(chosen["profile"])
    if chosen["arena"] and _small_arena():
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4  # what it logs as errors also comes as exceptions, which we translate
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider], **_without(path, chosen))
    except Exception as error:  # the library raises a dozen unrelated types, one for each status code
        if "fallback to CPU EP has been explicitly disabled" in str(error):
            raise EngineError(
                f"{provider} can't run all of {path}: {_reason(error)}",
                hint="Let the processor run the rest with the option cpu_fallback, or change the network.",
            ) from error
        raise ModelError(
            f"{path} can't be opened by ONNX Runtime: {_reason(error)}",
            hint="The file may be cut short or of an unsupported opset: check where it came from.",
        ) from error
    if (
        session.get_providers()[0] != provider
    ):  # a provider whose own libraries don't load is left out quietly
        raise EngineError(
            f"{provider} can't be started here; ONNX Runtime would run {path} on the processor.",
            hint="Check that the device's driver and libraries are installed.",
        )
    if not chosen["cpu_fallback"] and (strangers := _strangers(session, provider)):
        raise EngineError(
            f"{provider} can't run all of {path}: {strangers} would run on the processor.",
            hint="Let the processor run them with the option cpu_fallback, or change the network.",
        )
    release_free_memory()
    return session


def _without(path: str, chosen: Options) -> dict[str, Any]:
    """What of the optimiser has to be left out for a network that it gets wrong."""
    if chosen["graph_level"] == "off" or not zeros_reach_pool(Path(path)):
        return {}
    return {"disabled_optimizers": ["Pad_Fusion"]}


def _tells_assignment() -> bool:
    import onnxruntime

    return hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")  # from 1.24 on


def _strangers(session: Any, provider: str) -> str:
    """The nodes that another provider than the one asked for took, in words; "" for none or not known."""
    if provider == PROVIDERS["cpu"] or not _tells_assignment():
        return ""
    nodes = [
        f"{node.op_type} ({node.name})" if node.name else node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != provider
        for node in part.get_nodes()
    ]
    named = ", ".join(nodes[:_NAMED])
    return f"{named} and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else named


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

    def __init__(self, session: Any, threads: int, elsewhere: str, profiled: bool) -> None:
        import onnxruntime

        self._session, self._profiled = session, profiled
        provider = session.get_providers()[0]
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())
        self._names = [spec.name for spec in self.outputs]
        self.info = EngineInfo(
            name="onnxruntime",
            version=onnxruntime.__version__,
            provider=f"{provider}, without {elsewhere}" if elsewhere else provider,
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
        """Free the session, and write its profile if one was asked for; closing twice is allowed."""
        session, self._session = self._session, None
        if session is not None and self._profiled:
            session.end_profiling()

    def __enter__(self) -> OnnxRuntime:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
