"""Memory and copies on an NVIDIA GPU, through NVIDIA's own cuda-python (not verified on hardware).

Each call of `cuda.bindings.runtime` gives a tuple that begins with the error
(https://nvidia.github.io/cuda-python/cuda-bindings/latest/module/runtime.html).
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from edgeproof.core.errors import EngineError
from edgeproof.core.extras import require
from edgeproof.core.tensor import Array


def cuda_runtime() -> ModuleType:
    """The runtime bindings.

    Raises:
        MissingExtraError: cuda-python is not installed.
    """
    return require("cuda.bindings.runtime", extra="tensorrt", purpose="The tensorrt engine")


def check_cuda(runtime: Any, found: tuple[Any, ...], what: str) -> Any:
    """The value of a call's answer, without the error that stands before it; None where there is none.

    Raises:
        EngineError: it failed.
    """
    error, *values = found
    if error != runtime.cudaError_t.cudaSuccess:
        raise EngineError(
            f"CUDA can't {what}: {getattr(error, 'name', error)}.",
            hint="Look at what else uses the GPU (nvidia-smi, on a Jetson tegrastats), and check its driver.",
        )
    return values[0] if values else None


def device_number(runtime: Any, device: str) -> int:
    """The number of the GPU that "cuda" (the first one) or "cuda:N" names.

    Raises:
        EngineError: another device, or none of that number here.
    """
    named = re.fullmatch(r"cuda(?::(\d{1,3}))?", device)
    if named is None:
        raise EngineError(
            f"The tensorrt engine can't run on {device!r}.",
            hint="It knows: cuda, cuda:0, cuda:1, ... (no cpu).",
        )
    number = int(named[1] or 0)
    error, *counted = runtime.cudaGetDeviceCount()
    count = int(counted[0]) if error == runtime.cudaError_t.cudaSuccess else 0
    if number >= count:
        raise EngineError(
            f"There is no {device!r} on this machine: CUDA finds {count} GPUs.",
            hint="Check the driver with nvidia-smi; a Jetson needs its JetPack.",
        )
    return number


class CudaBuffers:
    """A stream and the memory of one network's tensors on one GPU, for one thread at a time.

    Memory that a tensor has got stays until it needs more, or until `close`.
    """

    def __init__(self, runtime: Any, number: int) -> None:
        self._cuda = runtime
        self._number = number
        self._memory: dict[str, tuple[int, int]] = {}
        self.select()
        self._stream = check_cuda(runtime, runtime.cudaStreamCreate(), "make a stream")

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream)

    def select(self) -> None:
        """Make the GPU the one of this thread: CUDA keeps that for each thread."""
        check_cuda(self._cuda, self._cuda.cudaSetDevice(self._number), f"use GPU {self._number}")

    def reserve(self, name: str, size: int) -> int:
        """The address of at least `size` bytes for a tensor."""
        size = max(size, 1)
        address, have = self._memory.get(name, (0, 0))
        if have < size:
            if have:
                check_cuda(self._cuda, self._cuda.cudaFree(self._memory.pop(name)[0]), "free memory")
            address = int(check_cuda(self._cuda, self._cuda.cudaMalloc(size), f"reserve {size / 1e6:.1f} MB"))
            self._memory[name] = (address, size)
        return address

    def send(self, name: str, array: Array) -> int:
        """Copy a C-contiguous array to the GPU; gives its address there. The array has to live until `wait`."""
        address = self.reserve(name, array.nbytes)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(address, array.ctypes.data, array.nbytes, kind)
        return address

    def fetch(self, name: str, array: Array) -> None:
        """Copy a tensor into a C-contiguous array, which is filled after `wait`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(array.ctypes.data, self._memory[name][0], array.nbytes, kind)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        check_cuda(
            self._cuda, self._cuda.cudaMemcpyAsync(target, source, size, kind, self._stream), "copy a tensor"
        )

    def wait(self) -> None:
        """Wait until all that was asked for is done."""
        check_cuda(self._cuda, self._cuda.cudaStreamSynchronize(self._stream), "run the network")

    def close(self) -> None:
        """Free all of it; what fails then is left to the driver."""
        for address, _ in self._memory.values():
            self._cuda.cudaFree(address)
        self._memory.clear()
        self._cuda.cudaStreamDestroy(self._stream)
