"""PyTorch: exported programs (.pt2) and TorchScript, the reference that conversions from it are checked against.

Nothing in a file is run that isn't a network: see `edgeproof.core.pytorch`. CUDA and MPS are not verified on
hardware. The number of threads is the process's:
the engine that ran last has set it for all of PyTorch, as it has its choice of TF32 on CUDA (off, for precision f32).

Options:
    input_shape: "Nx3x224x224" (the batch first), or "a=Nx3,b=Nx2" for several inputs, all float32; needed for
        TorchScript, which doesn't tell them.
    precision: "f32" (default) computes as the file says; "f16" or "bf16" turns its floating-point weights and inputs
        into halves.
    autocast: true lets PyTorch choose for each operator whether it computes in halves (f16 on CUDA, else bf16);
        false by default.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EdgeproofError, EngineError, ModelError, UsageError
from edgeproof.core.extras import require
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.pytorch.archive import read_members
from edgeproof.core.pytorch.program import keeping_little, load_program, program_signature
from edgeproof.core.pytorch.script import flat_outputs, is_script, load_script, script_inputs
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.model_file import model_file, short_reason
from edgeproof.engines.shapes import check_elements, check_symbols, parse_shapes

_DEFAULTS: dict[str, Value] = {"input_shape": "", "precision": "f32", "autocast": False}
_DEVICES = ("cpu", "cuda", "mps")
_SUFFIXES = (".pt2", ".pt", ".pth", ".torchscript")
_HALVES = {"f16": "float16", "bf16": "bfloat16"}


class Network(NamedTuple):
    """A loaded file: what goes in and out, its module, and how that is called with the inputs in order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    module: Any
    call: Callable[[Any, Sequence[Any]], dict[str, Any]]


def open_model(path: str, device: str, threads: int, options: Options) -> Torch:
    """Open a .pt2 or TorchScript file; see `edgeproof.engines.open_engine`, and the module's text for the options."""
    torch = require("torch", extra="torch", purpose="The torch engine")
    _check_device(torch, device)
    chosen = with_defaults(options, _DEFAULTS, whose="torch engine")
    precision = str(chosen["precision"])
    if precision != "f32" and precision not in _HALVES:
        raise UsageError(f"precision is {precision!r}.", hint="Use f32, f16 or bf16.")
    file = model_file(path, _SUFFIXES, whose="the torch engine")
    torch.set_num_threads(threads)
    members = read_members(file)
    if file.suffix.lower() == ".pt2":
        with keeping_little(torch):
            network = _program(torch, load_program(torch, file, members), path, device)
    elif is_script(members):
        assert members is not None
        network = _script(torch, load_script(torch, file, members), path, str(chosen["input_shape"]))
    else:
        raise ModelError(
            f"{path} is neither an exported program (.pt2) nor TorchScript.",
            hint="Weights alone can't be run: torch.export.save(torch.export.export(model, inputs), 'net.pt2')",
        )
    del members
    try:
        module = network.module.to(device)
        half = getattr(torch, _HALVES[precision]) if precision in _HALVES else None
        module = module.to(half) if half is not None else module
    except Exception as error:  # RuntimeError of the device, mostly out of memory
        raise EngineError(
            f"{path} can't be brought to {device!r} in {precision}: {short_reason(error)}",
            hint="Try cpu and f32.",
        ) from error
    if device == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = half is not None
    release_free_memory()
    return Torch(
        torch, network._replace(module=module), device, threads, half, autocast=bool(chosen["autocast"])
    )


def _check_device(torch: Any, device: str) -> None:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device, False):
        known = ", ".join(name for name in _DEVICES if there[name])
        why = "is not there" if device in _DEVICES else "is not one that it knows"
        raise EngineError(
            f"The torch engine can't run on {device!r}: it {why}.",
            hint=f"This PyTorch ({torch.__version__}) has here: {known}.",
        )


def _program(torch: Any, program: Any, path: str, device: str) -> Network:
    inputs, outputs = program_signature(program, path)
    tree, names = torch.utils._pytree, [spec.name for spec in outputs]
    if device != "cpu":  # constants and explicit devices inside the graph don't follow module.to()
        program = torch.export.passes.move_to_device_pass(program, device)

    def call(module: Any, values: Sequence[Any]) -> dict[str, Any]:
        args, kwargs = tree.tree_unflatten(list(values), program.call_spec.in_spec)
        return dict(zip(names, tree.tree_leaves(module(*args, **kwargs)), strict=True))

    return Network(inputs, outputs, program.module(), call)


def _script(torch: Any, script: Any, path: str, text: str) -> Network:
    names = script_inputs(script)
    shapes = parse_shapes(text, names)
    for name in names:
        if name not in shapes:
            raise ModelError(
                f"{path} is TorchScript, which doesn't tell the shape of its input {name!r}.",
                hint=f'Give it with the option input_shape, batch first, like "{name}=Nx3x224x224".',
            )
        check_elements(name, shapes[name])
    inputs = tuple(TensorSpec(name, shapes[name], "float32") for name in names)
    try:
        with torch.inference_mode():
            # Two sizes of the batch tell which axes of the outputs are the batch.
            one, two = (
                flat_outputs(
                    torch,
                    script(
                        *(
                            torch.zeros([count if size == "N" else size for size in spec.shape])
                            for spec in inputs
                        )
                    ),
                )
                for count in (2, 3)
            )
    except EdgeproofError:
        raise
    except Exception as error:  # torch.jit.Error, RuntimeError
        raise ModelError(
            f"{path} can't be run on zeros of that shape: {short_reason(error)}",
            hint="Check the option input_shape.",
        ) from error
    outputs = tuple(
        TensorSpec(
            name,
            tuple(
                size if size == more else "N"
                for size, more in zip(values.shape, two[name].shape, strict=True)
            ),
            str(values.dtype).removeprefix("torch."),
        )
        for name, values in one.items()
    )
    return Network(inputs, outputs, script, lambda module, values: flat_outputs(torch, module(*values)))


class Torch:
    """An open PyTorch network. Its module keeps no state, so threads don't meet."""

    def __init__(
        self, torch: Any, network: Network, device: str, threads: int, half: Any, *, autocast: bool
    ) -> None:
        self._torch = torch
        self._network: Network | None = network
        self._device, self._threads, self._half, self._autocast = device, threads, half, autocast
        self.inputs, self.outputs = network.inputs, network.outputs
        halves = {torch.float16: "f16", torch.bfloat16: "bf16"}
        precision = "autocast" if autocast else halves.get(half, "f32")
        self.info = EngineInfo("torch", torch.__version__, device.upper(), threads, True, precision)

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once; with halves, float32 goes in and comes out all the same.

        Raises:
            InputError: the feeds don't fit, or their batches differ.
            EngineError: the engine is closed, or PyTorch failed.
        """
        network = self._network
        if network is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        check_symbols(self.inputs, feeds)
        torch = self._torch
        torch.set_num_threads(self._threads)  # OpenMP keeps it for each calling thread
        try:
            with torch.inference_mode(), self._casting():
                values = [self._given(np.asarray(feeds[spec.name])) for spec in self.inputs]
                answers = network.call(network.module, values)
                return {spec.name: _made(answers[spec.name], spec) for spec in self.outputs}
        except Exception as error:  # RuntimeError, torch.jit.Error, AssertionError of a guard in the graph
            raise EngineError(
                f"PyTorch failed: {short_reason(error)}", hint="Check the network with `edgeproof check`."
            ) from error

    def _casting(self) -> contextlib.AbstractContextManager[Any]:
        if not self._autocast:
            return contextlib.nullcontext()
        dtype = self._torch.float16 if self._device == "cuda" else self._torch.bfloat16
        manager: contextlib.AbstractContextManager[Any] = self._torch.autocast(self._device, dtype=dtype)
        return manager

    def _given(self, array: Array) -> Any:
        # from_numpy shares the memory, and warns where it may not be written to.
        tensor = self._torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)
        return tensor.to(self._half) if self._half is not None and tensor.is_floating_point() else tensor

    def close(self) -> None:
        """Free the network; closing twice is allowed."""
        self._network = None

    def __enter__(self) -> Torch:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _made(tensor: Any, spec: TensorSpec) -> Array:
    # A copy: an output may be the input's own memory, or a weight's.
    values = tensor.float() if tensor.is_floating_point() and spec.dtype == "float32" else tensor
    return np.array(values.cpu().numpy(), dtype=spec.dtype)
