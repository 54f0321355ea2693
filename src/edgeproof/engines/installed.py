"""Which engines can run on this machine, and on which of its devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

from edgeproof.core.extras import require_openvino
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
    """

    name: str
    version: str | None
    devices: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    install: str | None = None

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
        }


Devices = dict[str, str]  # the name to open it by -> the library's own


class _Library(NamedTuple):
    module: str
    distribution: str
    devices: Callable[[], Devices]
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


def _cpu() -> Devices:
    return {"cpu": "cpu"}


_LIBRARIES = {
    "litert": _Library("ai_edge_litert", "ai-edge-litert", _cpu, "litert"),
    "ncnn": _Library("ncnn", "ncnn", _cpu, "ncnn"),
    "onnxruntime": _Library("onnxruntime", "onnxruntime", _onnxruntime),
    "opencv": _Library("cv2", "opencv-python-headless", _cpu, "opencv"),
    "openvino": _Library("openvino", "openvino", _openvino, "openvino"),
    "tensorrt": _Library("tensorrt", "tensorrt", lambda: {"cuda": "TensorRT"}, "tensorrt"),
    "torch": _Library("torch", "torch", _torch, "torch"),
}


def installed_engines() -> list[EngineState]:
    """Every engine of the registry that needs a library, in the order of their names; imports those that are there."""
    return [_state(name) for name in ENGINES if name != "null"]


def _state(name: str) -> EngineState:
    library = _LIBRARIES.get(name)
    if library is None:  # somebody else's, found by its entry point
        return EngineState(name, None, ("cpu",), ("cpu",))
    if find_spec(library.module) is None:
        return EngineState(name, None, install=f'pip install "edgeproof[{library.extra or "fit"}]"')
    try:
        version = metadata.version(library.distribution)
    except metadata.PackageNotFoundError:  # a build of its own, as a Jetson's
        version = None
    try:
        devices = library.devices()
    except Exception as error:  # whatever a half-installed library raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return EngineState(name, version, install=f"It is installed and doesn't start: {reason}")
    return EngineState(name, version, tuple(devices), tuple(devices.values()))
