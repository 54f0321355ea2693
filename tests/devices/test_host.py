"""What a machine is, read from the files that its kernel shows."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from edgeproof.devices.host import describe_host, usable_cores

_JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\x00",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n"
    "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimddp\n"
    "CPU implementer\t: 0x41\n\nprocessor\t: 1\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n",
    "proc/meminfo": "MemTotal:        7802992 kB\nMemFree:          123 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
}
_PI5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 atomics asimdrdm "
    "lrcpc dcpop asimddp\nCPU part\t: 0xd0b\n\nRevision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/meminfo": "MemTotal:        4137984 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
}
_LAPTOP = {
    "sys/class/dmi/id/product_name": "20XWCTO1WW\n",
    "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\n"
    "model name\t: 11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz\n"
    "flags\t\t: fpu sse2 avx avx2 fma f16c avx512f avx512_vnni\n",
    "proc/meminfo": "MemTotal:       16000000 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
}


def _root(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "board", "processor", "isa", "memory_mb", "governor"),
    [
        (
            _JETSON,
            "NVIDIA Jetson Orin Nano Developer Kit",
            "ARMv8 Processor rev 1 (v8l)",
            ["asimd", "asimddp"],
            7990,
            "schedutil",
        ),
        (
            _PI5,
            "Raspberry Pi 5 Model B Rev 1.0",
            "Raspberry Pi 5 Model B Rev 1.0",
            ["asimd", "asimddp"],
            4237,
            "ondemand",
        ),
        (
            _LAPTOP,
            "20XWCTO1WW",
            "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz",
            ["avx2", "avx512_vnni", "avx512f", "f16c", "fma"],
            16384,
            "powersave",
        ),
        ({}, None, platform.machine(), [], None, None),
        ({"proc/cpuinfo": "\x00\xff:::\n", "proc/meminfo": "\n"}, None, platform.machine(), [], None, None),
    ],
    ids=["jetson", "pi5", "laptop", "empty", "nonsense"],
)
def test_a_machine_is_described(
    tmp_path: Path,
    files: dict[str, str],
    board: str | None,
    processor: str,
    isa: list[str],
    memory_mb: int | None,
    governor: str | None,
) -> None:
    host = describe_host(_root(tmp_path, files))
    assert (host.board, host.processor, host.isa) == (board, processor, isa)
    assert (host.memory_mb, host.governor) == (memory_mb, governor)
    assert host.cores >= 1
    assert {"numpy", "onnxruntime", "Pillow", "simplejpeg"} <= set(host.libraries)


def test_the_machine_under_us_has_a_processor_and_memory() -> None:
    host = describe_host()
    assert host.processor
    assert host.cores >= 1
    assert host.kernel == platform.release()


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        (None, 8),
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("3200000 100000", 8),
        ("100000 0", 8),
        ("nonsense", 8),
        ("", 8),
    ],
)
def test_a_container_uses_no_more_cores_than_its_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    _root(tmp_path, {} if quota is None else {"sys/fs/cgroup/cpu.max": quota})
    assert usable_cores(tmp_path) == cores
