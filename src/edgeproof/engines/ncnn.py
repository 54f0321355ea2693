"""ncnn on the processor: a .param file, with its .bin beside it.

ncnn has no batch axis: the rows of a batch are run one after another, each taking the time of one. All is float32.

Options:
    input_shape: "Nx3x416x416" (the batch first), or "a=Nx3,b=Nx2" for several inputs; needed where the .param's
        Input layers don't tell it.
    fp16: weights and activations in half precision; false by default, as it changes results.
    int8: layers that were quantised run on integers; true by default.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeproof.core.allocator import release_free_memory
from edgeproof.core.errors import EngineError, ModelError, NotFoundError
from edgeproof.core.extras import require
from edgeproof.core.files import storage_error
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.model_file import model_file
from edgeproof.engines.ncnn_param import ParamFile, ToldShapes, parse_param, told_shapes
from edgeproof.engines.shapes import check_elements, check_symbols, parse_shapes

_DEFAULTS: dict[str, Value] = {"input_shape": "", "fp16": False, "int8": True}
_MAX_TEXT = 16 << 20


def open_model(path: str, device: str, threads: int, options: Options) -> Ncnn:
    """Open a .param file; see `edgeproof.engines.open_engine`, and the module's text for the options."""
    library = require("ncnn", extra="ncnn", purpose="The ncnn engine")
    if device != "cpu":
        raise EngineError(f"The ncnn engine can't run on {device!r}.", hint="It knows: cpu.")
    chosen = with_defaults(options, _DEFAULTS, whose="ncnn engine")
    file = model_file(path, (".param",), whose="the ncnn engine")
    param, told = _read(file)
    weights = file.with_suffix(".bin")
    if not weights.is_file():
        raise NotFoundError(
            f"An ncnn network is two files, and {weights} isn't there.", hint="Put it beside the .param file."
        )
    signature = _signature(path, param, told, str(chosen["input_shape"]))
    net = library.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    fp16, int8 = bool(chosen["fp16"]), bool(chosen["int8"])
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = fp16
    net.opt.use_int8_inference = net.opt.use_int8_packed = int8
    net.opt.use_int8_storage = net.opt.use_int8_arithmetic = int8
    if net.load_param(str(file)) or net.load_model(str(weights)):
        raise ModelError(
            f"{path} can't be opened by ncnn.",
            hint="It may have a layer that this ncnn lacks, or the .bin beside it isn't its own or is cut short.",
        )
    release_free_memory()
    return Ncnn(library, net, signature, threads)


class _Signature(NamedTuple):
    """What goes in and out, and the shape of one row of each input as ncnn takes it.

    `outputs` has a shape of one row, with its batch of 1, where it is known beforehand, else ().
    """

    inputs: tuple[TensorSpec, ...]
    rows: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


def _read(file: Path) -> tuple[ParamFile, ToldShapes]:
    try:
        if file.stat().st_size > _MAX_TEXT:
            raise ModelError(
                f"{file} is larger than {_MAX_TEXT >> 20} MB.", hint="A .param file is a little text."
            )
        text = file.read_text(encoding="utf-8", errors="replace")
        return parse_param(text), told_shapes(text)
    except OSError as error:
        raise storage_error(file, error) from error
    except ModelError as error:
        raise ModelError(f"{file} is no ncnn network: {error.message}", hint=error.hint) from error


def _signature(path: str, param: ParamFile, told: ToldShapes, text: str) -> _Signature:
    if told.inputs and not text:
        return _told_signature(path, param, told)
    given = parse_shapes(text, list(param.inputs))
    rows: dict[str, tuple[int, ...]] = {}
    for name, inside in param.inputs.items():
        shape = given[name][1:] if name in given else inside
        if not 1 <= len(shape) <= 4:
            raise ModelError(
                f"{path} doesn't tell the shape of its input {name!r}, or it has more than 4 axes.",
                hint=f'Give it with the option input_shape, batch first, like "{name}=Nx3x416x416".',
            )
        check_elements(name, shape)
        rows[name] = tuple(int(size) for size in shape)
    specs = tuple(TensorSpec(name, ("N", *shape), "float32") for name, shape in rows.items())
    return _Signature(specs, rows, dict.fromkeys(param.outputs, ()))


def _told_signature(path: str, param: ParamFile, told: ToldShapes) -> _Signature:
    shapes = {**told.inputs, **told.outputs}
    fits = told.inputs.keys() == param.inputs.keys() and told.outputs.keys() <= set(param.outputs)
    fits = fits and all(math.prod(told.inputs[name]) == math.prod(row) for name, row in param.inputs.items())
    if not fits or not told.outputs:
        raise ModelError(
            f"{path} tells other inputs or outputs at its end than its layers have.",
            hint="Export the network again, or remove the lines that begin with #.",
        )
    for name, shape in told.inputs.items():
        check_elements(name, shape)
    # An answer without a batch axis of 1 is one for the whole batch: no rows to run one after another.
    free = all(shape[0] == 1 for shape in shapes.values())
    specs = tuple(
        TensorSpec(name, ("N", *shape[1:]) if free else shape, "float32")
        for name, shape in told.inputs.items()
    )
    return _Signature(specs, param.inputs, told.outputs)


class Ncnn:
    """An open ncnn network; each run has its own extractor, so threads don't meet."""

    def __init__(self, library: Any, net: Any, signature: _Signature, threads: int) -> None:
        self._net = net
        self._mat = library.Mat
        self.inputs, self._rows, shapes = signature
        self._shapes = shapes
        free = self.inputs[0].shape[0] == "N"
        if not all(shapes.values()):  # ncnn tells no output shapes: one run on zeros does
            zeros: dict[str, Array] = {name: np.zeros(row, np.float32) for name, row in self._rows.items()}
            shapes = {name: array.shape for name, array in self._row(net, zeros).items()}
        self.outputs = tuple(
            TensorSpec(name, ("N", *shape[1:]) if free else shape, "float32")
            for name, shape in shapes.items()
        )
        precision = "f16" if net.opt.use_fp16_arithmetic else "f32"
        self.info = EngineInfo("ncnn", library.__version__, "CPU", threads, True, precision)

    def _row(self, net: Any, feeds: Tensors) -> dict[str, Array]:
        extractor = net.create_extractor()
        for name, array in feeds.items():
            # A clone, because ncnn aligns its channels and the array's memory isn't.
            row = np.ascontiguousarray(array).reshape(self._rows[name])
            if extractor.input(name, self._mat(row).clone()):
                raise EngineError(f"ncnn takes no input {name!r}.", hint="Check the .param file.")
        found: dict[str, Array] = {}
        for name, shape in self._shapes.items():
            status, mat = extractor.extract(name)
            if status or mat.empty():
                raise EngineError(
                    f"ncnn can't compute {name!r} (status {status}).",
                    hint="Check the input's shape; with memory running out it fails in the same way.",
                )
            answer = np.array(mat, dtype=np.float32)
            if shape and answer.size != math.prod(shape):
                raise EngineError(
                    f"ncnn's answer {name!r} has the shape {list(answer.shape)}, which isn't {list(shape)}.",
                    hint="The .param may have been changed: export the network again.",
                )
            found[name] = answer.reshape(shape or (1, *answer.shape))
        return found

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once, row by row.

        Raises:
            InputError: the feeds don't fit, or their batches differ.
            EngineError: the engine is closed, or the runtime failed.
        """
        net = self._net
        if net is None:
            raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
        check_feeds(self.inputs, feeds)
        check_symbols(self.inputs, feeds)
        rows = [
            self._row(net, {spec.name: feeds[spec.name][row] for spec in self.inputs})
            for row in range(len(feeds[self.inputs[0].name]))
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in self._shapes}

    def close(self) -> None:
        """Free the network; closing twice is allowed."""
        self._net = None

    def __enter__(self) -> Ncnn:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
