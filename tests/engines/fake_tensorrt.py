"""A TensorRT and a CUDA that need no GPU: they note what is asked of them, and every network doubles its input.

Their "ONNX file" is JSON: {"inputs": {"x": [-1, 3]}, "quantised": false, "fails": "parse" | "build" | "open"}.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


class Cuda(ModuleType):
    """`cuda.bindings.runtime`, its device memory being this process's own."""

    def __init__(self, *, gpus: int = 1, gpu: str = "Orin", capability: tuple[int, int] = (8, 7)) -> None:
        super().__init__("cuda.bindings.runtime")
        self.cudaError_t = SimpleNamespace(cudaSuccess=0)
        self.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        self.gpus, self.gpu, self.capability = gpus, gpu, capability
        self.blocks: dict[int, Any] = {}
        self.streams = 0
        self.selected: list[int] = []
        self.full = False

    def cudaGetDeviceCount(self):
        return (0, self.gpus) if self.gpus else (SimpleNamespace(name="cudaErrorNoDevice"), 0)

    def cudaGetDeviceProperties(self, number):
        return 0, SimpleNamespace(name=self.gpu.encode(), major=self.capability[0], minor=self.capability[1])

    def cudaRuntimeGetVersion(self):
        return 0, 12060

    def cudaDriverGetVersion(self):
        return 0, 12060

    def cudaSetDevice(self, number):
        self.selected.append(number)
        return (0,)

    def cudaStreamCreate(self):
        self.streams += 1
        return 0, 77

    def cudaStreamDestroy(self, stream):
        self.streams -= 1
        return (0,)

    def cudaStreamSynchronize(self, stream):
        assert stream == 77
        return (0,)

    def cudaMalloc(self, size):
        if self.full:
            return SimpleNamespace(name="cudaErrorMemoryAllocation"), 0
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    def cudaFree(self, address):
        del self.blocks[address]
        return (0,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        on_gpu = target if kind == 1 else source
        assert size <= len(self.blocks[on_gpu]), "more than was reserved"
        ctypes.memmove(target, source, size)
        return (0,)


class _Reporting:
    ERROR, INTERNAL_ERROR, WARNING = 1, 0, 2

    def __init__(self) -> None:
        pass


class _Monitor:
    def __init__(self) -> None:
        pass


class _Config:
    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls
        self.progress_monitor: Any = None
        self.profiles = 0
        self.cache = b""

    def set_flag(self, flag):
        self.calls.append(("set", flag))

    def clear_flag(self, flag):
        self.calls.append(("clear", flag))

    def set_memory_pool_limit(self, pool, size):
        self.calls.append((pool, size))

    def add_optimization_profile(self, profile):
        self.profiles += 1
        self.calls.append(("profile", profile.shapes))
        return 0

    def create_timing_cache(self, data):
        return data

    def set_timing_cache(self, cache, ignore_mismatch):
        self.calls.append(("timing cache", cache, ignore_mismatch))
        self.cache = cache
        return cache != b"another GPU"

    def get_timing_cache(self):
        return SimpleNamespace(serialize=lambda: self.cache + b"+")


class TensorRt(ModuleType):
    """`tensorrt`; `calls` is what was asked of the builder."""

    def __init__(self, version: str = "10.3.0") -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        calls: list[Any] = []
        self.calls = calls
        self.ILogger, self.IProgressMonitor = _Reporting, _Monitor
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        flags = {"TF32": "TF32"} if version.startswith("11") else {"TF32": "TF32", "FP16": "FP16"}
        self.BuilderFlag = SimpleNamespace(**flags)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.LayerType = SimpleNamespace(QUANTIZE="quantize", OTHER="other")
        self.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

        class Builder:
            def __init__(self, log):
                self.log = log

            def create_network(self, flags):
                calls.append(("network", flags))
                return SimpleNamespace(told={})

            def create_builder_config(self):
                return _Config(calls)

            def create_optimization_profile(self):
                shapes: dict[str, Any] = {}
                return SimpleNamespace(
                    shapes=shapes,
                    set_shape=lambda name, *three: shapes.update({name: tuple(map(tuple, three))}),
                )

            def build_serialized_network(self, network, config):
                monitor = config.progress_monitor
                monitor.phase_start("Building", None, 20)
                for step in range(20):
                    monitor.phase_start("inner", "Building", 3)
                    if not monitor.step_complete("Building", step):
                        return None
                    monitor.phase_finish("inner")
                monitor.phase_finish("Building")
                if network.told.get("fails") == "build":
                    self.log.log(1, "no kernel for it")
                    return None
                profile = next((call[1] for call in calls if call[0] == "profile"), {})
                return json.dumps({**network.told, "profile": profile}).encode()

        class Parser:
            def __init__(self, network, log):
                self.network = network

            def parse_from_file(self, path):
                told = json.loads(Path(path).read_text())
                inputs = [SimpleNamespace(name=name, shape=shape) for name, shape in told["inputs"].items()]
                kind = "quantize" if told.get("quantised") else "other"
                self.network.told = told
                self.network.num_inputs, self.network.get_input = len(inputs), inputs.__getitem__
                self.network.num_layers, self.network.get_layer = 1, lambda place: SimpleNamespace(type=kind)
                self.num_errors = told.get("fails") == "parse"
                return not self.num_errors

            def get_error(self, place):
                return SimpleNamespace(
                    node_operator=lambda: "Fancy", node_name=lambda: "odd", desc=lambda: "no importer"
                )

        class Runtime:
            def __init__(self, log):
                self.log = log

            def deserialize_cuda_engine(self, data):
                told = json.loads(data)
                if told.get("fails") == "open":
                    self.log.log(0, "magic tag does not match")
                    return None
                return _Engine(told)

        self.Builder, self.OnnxParser, self.Runtime = Builder, Parser, Runtime


class _Engine:
    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.names = [*told["inputs"], *(f"{name}_doubled" for name in told["inputs"])]
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, place):
        return self.names[place]

    def get_tensor_mode(self, name):
        return "out" if name.endswith("_doubled") else "in"

    def get_tensor_dtype(self, name):
        return "DataType." + self.told.get("dtype", "FLOAT")

    def get_tensor_shape(self, name):
        return tuple(self.told["inputs"][name.removesuffix("_doubled")])

    def get_tensor_profile_shape(self, name, index):
        return self.told["profile"][name]

    def create_execution_context(self):
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name, shape):
        self.shapes[name] = shape
        return True

    def get_tensor_shape(self, name):
        return (
            (-1, 3)
            if self.engine.told.get("fails") == "shape"
            else self.shapes[name.removesuffix("_doubled")]
        )

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        assert stream == 77
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            source = (ctypes.c_float * size).from_address(self.addresses[name])
            target = (ctypes.c_float * size).from_address(self.addresses[f"{name}_doubled"])
            target[:] = [2 * value for value in source]
        return self.engine.told.get("fails") != "run"


def install(monkeypatch: pytest.MonkeyPatch, trt: TensorRt, cuda: Cuda) -> None:
    """Make them the ones that an import finds."""
    modules = {"tensorrt": trt, "cuda": ModuleType("cuda"), "cuda.bindings": ModuleType("cuda.bindings")}
    for name, module in {**modules, "cuda.bindings.runtime": cuda}.items():
        monkeypatch.setitem(sys.modules, name, module)
