"""What a TensorRT plan was built for: a plan runs on the TensorRT and the kind of GPU that built it, on no other.

Source: https://docs.nvidia.com/deeplearning/tensorrt/11.1.0/inference-library/engine-compatibility.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgeproof.core.errors import EngineError
from edgeproof.core.files import sha256_of, storage_error, write_atomically
from edgeproof.engines.cuda import check_cuda

_FORMAT = 1
_LARGEST = 1 << 20
# What has to be the same; the CUDA and driver versions, and what it was built from, are told beside.
_MUST = {"tensorrt": "TensorRT", "gpu": "GPU", "compute_capability": "compute capability"}


def fingerprint(trt: Any, runtime: Any, number: int) -> dict[str, str]:
    """What this machine is to a plan.

    Arguments:
        trt: the tensorrt package.
        runtime: `cuda.bindings.runtime`.
        number: of the GPU.

    Raises:
        EngineError: CUDA can't tell.
    """
    of_gpu = check_cuda(runtime, runtime.cudaGetDeviceProperties(number), "describe the GPU")
    name = of_gpu.name
    return {
        "tensorrt": str(trt.__version__),
        "gpu": name.decode(errors="replace").rstrip("\0") if isinstance(name, bytes) else str(name),
        "compute_capability": f"{of_gpu.major}.{of_gpu.minor}",
        "cuda": _version(check_cuda(runtime, runtime.cudaRuntimeGetVersion(), "tell its version")),
        "driver": _version(check_cuda(runtime, runtime.cudaDriverGetVersion(), "tell the driver's version")),
    }


def _version(number: int) -> str:
    """12060 is 12.6 (CUDA runtime API, cudaRuntimeGetVersion)."""
    return f"{number // 1000}.{number % 1000 // 10}"


def beside(plan: Path) -> Path:
    """Where what a plan was built for is written: NAME.plan.json."""
    return plan.with_name(plan.name + ".json")


def write_plan(plan: Path, data: bytes, built: dict[str, str]) -> None:
    """Write a plan and what it was built for, each whole or not at all, the plan last.

    Raises:
        StorageError: disk full, or no permission.
    """
    import hashlib

    # A plan whose note is of another one is refused by its digest, so a break between the two does no harm.
    note = {"format": _FORMAT, **built, "plan_sha256": hashlib.sha256(data).hexdigest()}
    write_atomically(beside(plan), (json.dumps(note, indent=2) + "\n").encode())
    write_atomically(plan, data)


def check_plan(plan: Path, here: dict[str, str]) -> None:
    """Refuse a plan that was built for something else than what is here, or that was changed since.

    Raises:
        EngineError: naming what differs.
        StorageError: it can't be read.
    """
    note = beside(plan)
    again = f"Build it again here from its ONNX file: edgeproof export {built_from(plan)} --to tensorrt"
    try:
        if not note.is_file() or note.stat().st_size > _LARGEST:
            raise EngineError(f"{plan} doesn't say what it was built for: {note} isn't there.", hint=again)
        told = json.loads(note.read_text(encoding="utf-8"))
        digest = sha256_of(plan)
    except OSError as error:
        raise storage_error(plan, error) from error
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{note} can't be read: it is no JSON.", hint=again) from error
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise EngineError(f"{note} is of another format than {_FORMAT}.", hint=again)
    differing = [
        f"{called} {told.get(key)} there, {here[key]} here"
        for key, called in _MUST.items()
        if told.get(key) != here[key]
    ]
    if differing:
        raise EngineError(f"{plan} was built for something else: {'; '.join(differing)}.", hint=again)
    if told.get("plan_sha256") != digest:
        raise EngineError(
            f"{plan} isn't the plan that {note.name} describes: its digest differs.", hint=again
        )


def built_from(plan: Path) -> str:
    """The ONNX file that a plan of this name would come from, for a hint."""
    return f"{plan.name.partition('.')[0]}.onnx"
