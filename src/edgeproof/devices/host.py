"""A fingerprint of the machine, so that numbers from different machines are never mixed unseen."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from edgeproof.devices.cgroup import cpu_quota, memory_limit_mb
from edgeproof.devices.memory import memory
from edgeproof.devices.packages import package_version
from edgeproof.devices.sysfs import read_text

# The instruction sets that change which kernels a runtime picks, and so speed and INT8 accuracy.
_ISA = (
    "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
_LIBRARIES = ("edgeproof", "numpy", "onnxruntime", "Pillow", "simplejpeg")


class Host(msgspec.Struct, frozen=True):
    """What identifies a machine for measuring.

    Attributes:
        board: the device-tree model, the DMI product name, or None.
        processor: the processor's own name.
        isa: the instruction sets that matter, as /proc/cpuinfo spells them.
        cores: processors this process may use (affinity and cgroup quota).
        cpu_quota: processors' worth of time that a cgroup allows; None for no limit.
        memory_mb: installed memory, in 10^6 bytes; None where unknown.
        memory_limit_mb: the cgroup's limit, likewise; None for no limit.
        governor: the frequency governor of cpu0; None where the machine shows none.
        kernel: kernel release.
        python: version.
        libraries: versions of the libraries that do the work.
    """

    board: str | None
    processor: str
    isa: list[str]
    cores: int
    memory_mb: int | None
    governor: str | None
    kernel: str
    python: str
    libraries: dict[str, str]
    cpu_quota: float | None = None
    memory_limit_mb: int | None = None


def describe_host(root: Path = Path("/")) -> Host:
    """Read the machine from /proc and /sys; `root` replaces `/` in tests."""
    cpuinfo = read_text(root / "proc/cpuinfo") or ""
    return Host(
        board=read_text(root / "proc/device-tree/model") or read_text(root / "sys/class/dmi/id/product_name"),
        processor=_field(cpuinfo, "model name") or _field(cpuinfo, "Model") or platform.machine(),
        isa=sorted(set(_ISA) & set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features") or "").split())),
        cores=usable_cores(root),
        memory_mb=memory(root).total_mb,
        governor=read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        kernel=platform.release(),
        python=platform.python_version(),
        libraries={name: version for name in _LIBRARIES if (version := package_version(name))},
        cpu_quota=cpu_quota(root),
        memory_limit_mb=memory_limit_mb(root),
    )


def usable_cores(root: Path = Path("/")) -> int:
    """How many processors this process may use: affinity, then the cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return cores if quota is None else min(cores, max(1, int(quota)))


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip() or None
    return None
