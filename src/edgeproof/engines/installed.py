"""Which engines can run on this machine, and on which of its devices."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from edgeproof.core.extras import require_openvino
from edgeproof.devices.packages import package_version
from edgeproof.devices.sysfs import read_text
from edgeproof.engines import ENGINES


@dataclass(frozen=True)
class EngineState:
    """What there is of one engine.

    Attributes:
        name: as in the registry.
        version: of its library; None where that isn't there or doesn't tell.
        devices: what `open_engine(device=...)` takes here; empty where the engine can't be used.
        providers: the same, as the library calls them.
        install: what to do to have it; None where it is there.
        more: what to do to have a device that this machine has and it can't use; None where there is none.
    """

    name: str
    version: str | None
    devices: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    install: str | None = None
    more: str | None = None

    @property
    def unverified(self) -> tuple[str, ...]:
        """The devices that edgeproof's own tests have never run on: all but the processor, and what may choose it."""
        return tuple(device for device in self.devices if device not in ("cpu", "auto"))

    def as_json(self) -> dict[str, object]:
        """One entry of CONTRACT's document of `device`."""
        return {
            "name": self.name,
            "version": self.version,
            "providers": list(self.providers),
            "devices": list(self.devices),
            "not_verified_on_hardware": list(self.unverified),
            "install": self.install,
            "more": self.more,
        }


Devices = dict[str, str]  # the name to open it by -> the library's own


class _Library(NamedTuple):
    module: str
    distributions: tuple[str, ...]  # the packages that bring the module; one is there
    devices: Callable[[], Devices]  # starts the library and asks it
    files: Callable[[Path, Path], Devices]  # by the files of its folder, and below `/`
    extra: str | None = None


def _onnxruntime() -> Devices:
    import onnxruntime

    from edgeproof.engines.onnxruntime import PROVIDERS

    available = onnxruntime.get_available_providers()
    return {name: provider for name, provider in PROVIDERS.items() if provider in available}


def _openvino() -> Devices:
    found = require_openvino("Asking for its devices").Core().available_devices
    return {name.lower(): name for name in found} | {"auto": "AUTO"}


def _torch() -> Devices:
    import torch

    found = {"cpu": "cpu"}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_device_name(0)
    if torch.backends.mps.is_available():
        found["mps"] = "mps"
    return found


def _cpu(*_: Path) -> Devices:
    return {"cpu": "cpu"}


def _tensorrt(*_: Path) -> Devices:
    return {"cuda": "TensorRT"}


def _onnxruntime_files(package: Path, root: Path) -> Devices:
    """What a provider's own library, beside ONNX Runtime's, says; XNNPACK, which has none, is not found so."""
    libraries = {
        "cuda": "CUDA",
        "tensorrt": "Tensorrt",
        "openvino": "OpenVINO",
        "cann": "CANN",
        "rocm": "ROCM",
    }
    found = {
        name: f"{provider}ExecutionProvider"
        for name, provider in libraries.items()
        if (package / "capi" / f"libonnxruntime_providers_{name}.so").exists()
        and (name not in ("cuda", "tensorrt") or _has_nvidia(root))
    }
    if sys.platform == "darwin":
        found["coreml"] = "CoreMLExecutionProvider"
    return {"cpu": "CPUExecutionProvider"} | found


def _openvino_files(package: Path, root: Path) -> Devices:
    plugins = {file.name for file in (package / "libs").glob("libopenvino_*_plugin.so")}
    found = {"cpu": "CPU"}
    if "libopenvino_intel_gpu_plugin.so" in plugins and _has_intel_graphics(root):
        found["gpu"] = "GPU"
    if "libopenvino_intel_npu_plugin.so" in plugins and any((root / "dev/accel").glob("accel*")):
        found["npu"] = "NPU"
    return found | {"auto": "AUTO"}


def _torch_files(package: Path, root: Path) -> Devices:
    built = re.search(r"^cuda\b.*= '([\d.]+)'$", read_text(package / "version.py") or "", re.MULTILINE)
    found = {"cpu": "cpu"}
    if built and _has_nvidia(root):
        found["cuda"] = f"CUDA {built[1]}"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found["mps"] = "mps"
    return found


def _has_nvidia(root: Path) -> bool:
    return any(
        (root / name).exists() for name in ("proc/driver/nvidia/version", "dev/nvhost-gpu", "dev/nvgpu")
    )


def _has_intel_graphics(root: Path) -> bool:
    vendors = (root / "sys/class/drm").glob("renderD*/device/vendor")
    return any(read_text(vendor) == "0x8086" for vendor in vendors)


_ONNXRUNTIMES = tuple(f"onnxruntime{kind}" for kind in ("", "-gpu", "-openvino", "-qnn", "-cann", "-rocm"))
_OPENCVS = tuple(
    f"opencv{kind}" for kind in ("-python-headless", "-python", "-contrib-python-headless", "-contrib-python")
)
_LIBRARIES = {
    "litert": _Library("ai_edge_litert", ("ai-edge-litert",), _cpu, _cpu, "litert"),
    "ncnn": _Library("ncnn", ("ncnn",), _cpu, _cpu, "ncnn"),
    "onnxruntime": _Library("onnxruntime", _ONNXRUNTIMES, _onnxruntime, _onnxruntime_files),
    "opencv": _Library("cv2", _OPENCVS, _cpu, _cpu, "opencv"),
    "openvino": _Library("openvino", ("openvino",), _openvino, _openvino_files, "openvino"),
    "tensorrt": _Library("tensorrt", ("tensorrt",), _tensorrt, _tensorrt, "tensorrt"),
    "torch": _Library("torch", ("torch",), _torch, _torch_files, "torch"),
}


def installed_engines(*, start: bool = True, root: Path = Path("/")) -> list[EngineState]:
    """Every engine of the registry that needs a library, in the order of their names.

    Arguments:
        start: import those that are there and ask them for their devices, which takes seconds; else their files tell,
            and neither a library that doesn't start nor a device that fails is noticed.
        root: what stands for `/` where their files tell.
    """
    return [_state(name, start, root) for name in ENGINES if name != "null"]


def _state(name: str, start: bool = True, root: Path = Path("/")) -> EngineState:
    library = _LIBRARIES.get(name)
    if library is None:  # somebody else's, found by its entry point
        return EngineState(name, None, ("cpu",), ("cpu",))
    spec = find_spec(library.module)
    if spec is None:
        return EngineState(name, None, install=f'pip install "edgeproof[{library.extra or "fit"}]"')
    version = next((found for package in library.distributions if (found := package_version(package))), None)
    try:
        devices = library.devices() if start else library.files(_folder(spec), root)
    except Exception as error:  # whatever a half-installed library raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return EngineState(name, version, install=f"It is installed and doesn't start: {reason}")
    more = None
    if (
        name == "onnxruntime"
        and "cuda" not in devices
        and platform.machine() == "x86_64"
        and _has_nvidia(root)
    ):
        more = "For the NVIDIA card: pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
    return EngineState(name, version, tuple(devices), tuple(devices.values()), more=more)


def _folder(spec: ModuleSpec) -> Path:
    return Path(next(iter(spec.submodule_search_locations or []), ""))
