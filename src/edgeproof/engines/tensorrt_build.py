"""Building a TensorRT plan from an ONNX file (TensorRT 10 and 11; not verified on hardware).

The calls: https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/index.html (Builder, IBuilderConfig,
IOptimizationProfile, IProgressMonitor, ITimingCache, OnnxParser). What differs between the two: its api/migration/
tensorrt-10x-to-11x-python-api-reference.html; in 11 every network is strongly typed and BuilderFlag.FP16 is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edgeproof.core.errors import EngineError, ModelError, StorageError, UsageError
from edgeproof.core.extras import require
from edgeproof.core.files import check_writable, sha256_of, storage_error, write_atomically
from edgeproof.engines.cuda import cuda_runtime, device_number
from edgeproof.engines.model_file import model_file
from edgeproof.engines.tensorrt_plan import fingerprint, write_plan
from edgeproof.engines.tensorrt_profile import parse_profile

PRECISIONS = ("f32", "f16", "int8")
_MAX_CACHE = 1 << 30


class Recipe(NamedTuple):
    """How a plan is built: see the options of `edgeproof.engines.tensorrt`."""

    precision: str = "f32"
    profile: str = ""
    workspace_mb: int = 0


def build_plan(
    model: Path,
    plan: Path,
    *,
    precision: str = "f32",
    shapes: str = "",
    timing_cache: Path | None = None,
    workspace_mb: int = 0,
    device: str = "cuda",
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Build a plan for this machine's GPU and write it, with NAME.plan.json beside it that says what it is for.

    Arguments:
        model: the .onnx file.
        plan: where it goes; whole or not at all.
        precision: "f32", "f16" or "int8".
        shapes: the optimisation profile, "x=1x3x224x224:4x3x224x224:8x3x224x224".
        timing_cache: a file that keeps measured kernels from build to build; made where it isn't there.
        workspace_mb: the most scratch memory of a layer; 0 leaves it to TensorRT.
        device: "cuda" or "cuda:N".
        say: takes a line for each step of the build; what it raises stops the build.

    Raises:
        MissingExtraError: tensorrt or cuda-python is not installed.
        EngineError: no such GPU, or TensorRT can't build it.
        ModelError: TensorRT can't read it.
        UsageError: a precision or profile that it can't be built with.
        StorageError: disk full, or no permission.
    """
    trt, runtime = import_tensorrt(), cuda_runtime()
    number = device_number(runtime, device)
    file = model_file(str(model), (".onnx",), whose="the tensorrt engine")
    check_writable(plan)
    recipe = Recipe(precision, shapes, workspace_mb)
    data = build(trt, file, recipe, timing_cache=timing_cache, say=say)
    write_plan(plan, data, described(trt, runtime, number, file, recipe))


def import_tensorrt() -> Any:
    """The tensorrt package.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it is older than 10.
    """
    trt: Any = require("tensorrt", extra="tensorrt", purpose="The tensorrt engine")
    if _major(trt) < 10:
        raise EngineError(
            f"TensorRT is {trt.__version__} here.", hint="Install 10 or later: JetPack 6.1 has 10.3."
        )
    return trt


def described(trt: Any, runtime: Any, number: int, model: Path, recipe: Recipe) -> dict[str, str]:
    """What a plan is for: this machine, the file, and how it is built."""
    try:
        source = sha256_of(model)
    except OSError as error:
        raise storage_error(model, error) from error
    return {
        **fingerprint(trt, runtime, number),
        "precision": recipe.precision,
        "profile": recipe.profile,
        "workspace_mb": str(recipe.workspace_mb),
        "source": model.name,
        "source_sha256": source,
    }


def build(
    trt: Any, model: Path, recipe: Recipe, *, timing_cache: Path | None, say: Callable[[str], None]
) -> bytes:
    """The bytes of a plan; see `build_plan`."""
    if recipe.precision not in PRECISIONS:
        raise UsageError(
            f"The precision of the tensorrt engine is {recipe.precision!r}.",
            hint=f"Use one of: {', '.join(PRECISIONS)}.",
        )
    if recipe.workspace_mb < 0:
        raise UsageError(
            f"workspace_mb is {recipe.workspace_mb}.", hint="Give megabytes, or 0 for TensorRT's own."
        )
    weak = recipe.precision == "f16"
    if weak and _major(trt) >= 11:
        raise UsageError(
            f"TensorRT {trt.__version__} takes each layer's precision from the network, and has no switch for f16.",
            hint="Convert the ONNX file to float16 first, then build it with precision f32, which keeps its types.",
        )
    log = reporter(trt)
    builder = trt.Builder(log)
    strong = 0 if weak else 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strong)
    _parse(trt, network, log, model)
    if recipe.precision == "int8" and not _is_quantised(trt, network):
        raise ModelError(
            f"{model} has no QuantizeLinear, and int8 is for networks that were quantised before.",
            hint="Quantise it first: `edgeproof fit` makes such files.",
        )
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # on by default; it rounds float32 inputs to 10 bits
    if weak:
        config.set_flag(trt.BuilderFlag.FP16)
    if recipe.workspace_mb:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace_mb << 20)
    _add_profile(builder, network, config, recipe.profile)
    if timing_cache is not None:
        _load_timing_cache(config, timing_cache, say)
    monitor = _monitor(trt, say)
    config.progress_monitor = monitor
    made = builder.build_serialized_network(network, config)
    if monitor.stopped is not None:
        raise monitor.stopped
    if made is None:
        raise EngineError(
            f"TensorRT can't build {model}: {log.reason()}.",
            hint="Try precision f32, a smaller profile or more workspace_mb; its log tells more.",
        )
    if timing_cache is not None:
        write_atomically(timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(made)


def _major(trt: Any) -> int:
    return int(str(trt.__version__).partition(".")[0])


def reporter(trt: Any) -> Any:
    """A logger that keeps TensorRT's errors for ours in place of printing them."""

    class Reporter(trt.ILogger):  # type: ignore[misc]  # the package tells no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors = [*self.errors[-9:], message.strip()]

        def reason(self) -> str:
            return (self.errors[-1] if self.errors else "it doesn't say why")[:300].rstrip(".")

    return Reporter()


def _parse(trt: Any, network: Any, log: Any, model: Path) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(str(model)):
        return
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    reasons = dict.fromkeys(
        f"{error.node_operator()} ({error.node_name()}): {error.desc()}" for error in errors
    )
    raise ModelError(
        f"{model} can't be read by TensorRT: {'; '.join(reasons)[:600] or log.reason()}.",
        hint="Export the network without these nodes, or run it in another runtime: see `edgeproof ops`.",
    )


def _is_quantised(trt: Any, network: Any) -> bool:
    return any(network.get_layer(place).type == trt.LayerType.QUANTIZE for place in range(network.num_layers))


def _add_profile(builder: Any, network: Any, config: Any, text: str) -> None:
    inputs = [network.get_input(place) for place in range(network.num_inputs)]
    profiles = parse_profile(text, {tensor.name: tuple(tensor.shape) for tensor in inputs})
    if not profiles:
        return
    profile = builder.create_optimization_profile()
    for name, shapes in profiles.items():
        profile.set_shape(name, shapes.smallest, shapes.usual, shapes.largest)
    if config.add_optimization_profile(profile) < 0:
        raise UsageError(
            f"TensorRT refuses the profile {text!r}.", hint="Check its sizes against the network."
        )


def _load_timing_cache(config: Any, file: Path, say: Callable[[str], None]) -> None:
    data = b""
    try:
        if file.exists():
            if file.stat().st_size > _MAX_CACHE:
                raise StorageError(f"{file} is over 1 GB.", hint="Remove it: it is made again.")
            data = file.read_bytes()
    except OSError as error:
        raise storage_error(file, error) from error
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, False):
        say(f"The timing cache {file} is of another TensorRT or GPU: it starts anew.")
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _monitor(trt: Any, say: Callable[[str], None]) -> Any:
    """Tells each phase that has no parent, and each tenth of it. TensorRT calls it from threads of its own."""

    class Progress(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped: BaseException | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                self._say(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self._steps.get(phase_name, 0)
            if steps and (step + 1) * 10 // steps > step * 10 // steps:
                self._say(f"{phase_name}: {(step + 1) * 100 // steps} %")
            return self.stopped is None

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def _say(self, line: str) -> None:
            try:
                say(line)
            except BaseException as error:  # nothing may pass through TensorRT's C++: it is raised behind it
                self.stopped = self.stopped or error

    return Progress()
