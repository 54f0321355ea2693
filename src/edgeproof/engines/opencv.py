"""OpenCV's own networks module (cv2.dnn of OpenCV 4; OpenCV 5 has no Caffe importer) on the processor.

It takes .onnx; Caffe as .caffemodel or .prototxt, the other one beside it with the same stem; TensorFlow as a
frozen .pb, with a .pbtxt beside it where there is one. Inputs are float32, batch first, channels before rows.

Options:
    input_shape: "1x3x300x300", or "data=1x3x300x300,info=1x3" for several inputs; N is a batch of any size.
        Needed for TensorFlow, and for ONNX inputs whose symbolic sizes aren't the batch only.

The number of threads holds for the whole process (cv2.setNumThreads): the engine that was opened last sets it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeproof.core.errors import EngineError, ModelError, NotFoundError
from edgeproof.core.extras import require
from edgeproof.core.files import storage_error
from edgeproof.core.options import Options, Value, with_defaults
from edgeproof.core.protocols import EngineInfo
from edgeproof.core.tensor import Array, Tensors, TensorSpec, check_feeds
from edgeproof.engines.model_file import model_file, short_reason
from edgeproof.engines.onnx_signature import read_signature
from edgeproof.engines.shapes import Shape, check_elements, check_symbols, parse_shapes

_DEFAULTS: dict[str, Value] = {"input_shape": ""}
_SUFFIXES = (".onnx", ".caffemodel", ".prototxt", ".pb")
_MAX_TEXT = 64 << 20
_COMMENT = re.compile(r"#[^\n]*")
_CAFFE_INPUT = re.compile(r'(?<!\w)input\s*:\s*"([^"]+)"')
_CAFFE_DIM = re.compile(r"input_dim\s*:\s*(\d+)")
_CAFFE_SHAPE = re.compile(r"input_shape\s*\{([^{}]*)\}")
_CAFFE_LAYER = re.compile(
    r'layer\s*\{(?=[^{}]*type\s*:\s*"Input")[^{}]*top\s*:\s*"([^"]+)"[^{}]*'
    r"input_param\s*\{\s*shape\s*:?\s*\{([^{}]*)\}"
)
_DIM = re.compile(r"dim\s*:\s*(\d+)")
_PLACEHOLDER = re.compile(r'node\s*\{(?=[^{}]*op\s*:\s*"Placeholder")[^{}]*name\s*:\s*"([^"]+)"')


class Read(NamedTuple):
    """A network as OpenCV read it, its outputs in order, and its inputs' shapes: () where the file tells none."""

    net: Any
    outputs: list[str]
    inputs: dict[str, Shape]


def open_model(path: str, device: str, threads: int, options: Options) -> OpenCv:
    """Open a network; see `edgeproof.engines.open_engine`, and the module's text for files and options."""
    cv2 = require("cv2", extra="opencv", purpose="The opencv engine")
    if device != "cpu":
        raise EngineError(f"The opencv engine can't run on {device!r}.", hint="It knows: cpu.")
    chosen = with_defaults(options, _DEFAULTS, whose="opencv engine")
    file = model_file(path, _SUFFIXES, whose="the opencv engine")
    cv2.setNumThreads(threads)
    try:
        net, outputs, told = _READERS[file.suffix.lower()](cv2, file)
    except cv2.error as error:
        raise ModelError(
            f"{path} can't be opened by OpenCV: {_reason(error)}",
            hint="The file may be cut short, or have layers that OpenCV lacks: try the onnxruntime engine.",
        ) from error
    except OSError as error:
        raise storage_error(file, error) from error
    given = parse_shapes(str(chosen["input_shape"]), list(told))
    return OpenCv(cv2, net, _inputs(path, {**told, **given}), outputs, threads)


def _read_onnx(cv2: Any, file: Path) -> Read:
    net = cv2.dnn.readNetFromONNX(str(file))
    specs, outputs = read_signature(file)
    if lost := sorted(set(outputs) - set(net.getUnconnectedOutLayersNames())):
        raise ModelError(
            f"OpenCV loses the output {lost[0]!r} of {file}.",
            hint="Use the onnxruntime engine, or export the network without it.",
        )
    for spec in specs:
        if spec.dtype != "float32":
            raise ModelError(
                f"Input {spec.name!r} of {file} is {spec.dtype}; OpenCV's networks take float32.",
                hint="Use the onnxruntime engine, or export the network with float32 inputs.",
            )
    return Read(net, outputs, {spec.name: spec.shape for spec in specs})


def _read_caffe(cv2: Any, file: Path) -> Read:
    text, weights = file.with_suffix(".prototxt"), file.with_suffix(".caffemodel")
    for part in (text, weights):
        if not part.is_file():
            raise NotFoundError(
                f"A Caffe network is two files, and {part} isn't there.", hint="Put it beside the other."
            )
    net = cv2.dnn.readNetFromCaffe(str(text), str(weights))
    return Read(net, list(net.getUnconnectedOutLayersNames()), _caffe_inputs(_read_text(text)))


def _read_tensorflow(cv2: Any, file: Path) -> Read:
    text = file.with_suffix(".pbtxt")
    paired = text.is_file()
    net = cv2.dnn.readNetFromTensorflow(*map(str, (file, text) if paired else (file,)))
    names = _PLACEHOLDER.findall(_read_text(text)) if paired else []
    return Read(net, list(net.getUnconnectedOutLayersNames()), dict.fromkeys(names, ()))


_READERS = {
    ".onnx": _read_onnx,
    ".caffemodel": _read_caffe,
    ".prototxt": _read_caffe,
    ".pb": _read_tensorflow,
}


def _read_text(file: Path) -> str:
    if file.stat().st_size > _MAX_TEXT:
        raise ModelError(
            f"{file} is larger than {_MAX_TEXT >> 20} MB.", hint="A network's text is far smaller."
        )
    return _COMMENT.sub("", file.read_text(encoding="utf-8", errors="replace"))


def _caffe_inputs(text: str) -> dict[str, Shape]:
    """Inputs of a prototxt: its Input layers, or the older `input`, `input_shape` and `input_dim` (caffe.proto)."""
    layers = _CAFFE_LAYER.findall(text)
    if layers:
        return {name: tuple(map(int, _DIM.findall(shape))) for name, shape in layers}
    names = _CAFFE_INPUT.findall(text)
    shapes = [tuple(map(int, _DIM.findall(shape))) for shape in _CAFFE_SHAPE.findall(text)]
    sizes = [int(size) for size in _CAFFE_DIM.findall(text)]
    shapes = shapes or [tuple(sizes[at : at + 4]) for at in range(0, len(sizes), 4)]
    return {name: shapes[at] if at < len(shapes) else () for at, name in enumerate(names)}


def _inputs(path: str, shapes: Mapping[str, Shape]) -> tuple[TensorSpec, ...]:
    for name, shape in shapes.items():
        if not shape or any(isinstance(size, str) for size in shape[1:]):
            raise ModelError(
                f"{path} doesn't tell the shape of its input {name!r}.",
                hint=f'Give it with the option input_shape, like "{name}=1x3x300x300".',
            )
        check_elements(name, shape)
    if not shapes:
        raise ModelError(
            f"{path} doesn't tell its inputs.",
            hint='Give them with the option input_shape, like "1x3x300x300".',
        )
    return tuple(TensorSpec(name, shape, "float32") for name, shape in shapes.items())


def _reason(error: Exception) -> str:
    # "OpenCV(4.14.0) /io/.../file.cpp:799: error: (-2:Unspecified error) in function 'f'", then lines of "> ..."
    text = str(error).partition("error: ")[2] or str(error)
    return short_reason(Exception(" ".join(line.lstrip("> ") for line in text.splitlines())))


class OpenCv:
    """A network in cv2.dnn. Runs are answered one after another: a Net has one set of blobs."""

    def __init__(
        self, cv2: Any, net: Any, inputs: tuple[TensorSpec, ...], outputs: list[str], threads: int
    ) -> None:
        self._net = net
        self._failure = cv2.error
        self._lock = threading.Lock()
        self._names = outputs
        self.inputs = inputs
        self.outputs = self._try_out()
        self.info = EngineInfo("opencv", cv2.__version__, "OpenCV DNN", threads, thread_safe=True)

    def _try_out(self) -> tuple[TensorSpec, ...]:
        # OpenCV tells neither shapes nor dtypes of outputs: black pictures do, one and two of them for a batch.
        batched = any(isinstance(spec.shape[0], str) for spec in self.inputs)
        try:
            tries = [self._forward(self._zeros(batch)) for batch in ((1, 2) if batched else (1,))]
        except (self._failure, MemoryError) as error:
            raise ModelError(
                f"OpenCV can't run the network on {', '.join(map(str, self.inputs))}: {_reason(error)}",
                hint="Check the option input_shape; or the network has layers that OpenCV can't run.",
            ) from error
        return tuple(self._output(name, [one[name] for one in tries]) for name in self._names)

    def _zeros(self, batch: int) -> dict[str, Array]:
        return {
            spec.name: np.zeros([batch if isinstance(size, str) else size for size in spec.shape], np.float32)
            for spec in self.inputs
        }

    def _output(self, name: str, found: list[Array]) -> TensorSpec:
        batch = next((str(spec.shape[0]) for spec in self.inputs if isinstance(spec.shape[0], str)), "N")
        sizes = zip(*(array.shape for array in found), strict=True)
        shape: list[int | str] = [size[0] if len(set(size)) == 1 else batch for size in sizes]
        if self._net.getLayer(name).type == "DetectionOutput":
            shape[2] = "detections"  # (1, 1, as many as it found, 7)
        return TensorSpec(name, tuple(shape), found[0].dtype.name)

    def _forward(self, feeds: Tensors) -> dict[str, Array]:
        for spec in self.inputs:
            blob = np.ascontiguousarray(feeds[spec.name])
            if len(self.inputs) == 1:
                self._net.setInput(blob)  # by name it would fail where a format's importer gave it another
            else:
                self._net.setInput(blob, spec.name)
        # The arrays are views of blobs that the next run writes into.
        found = [np.array(array) for array in self._net.forward(self._names)]
        return dict(zip(self._names, found, strict=True))

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once.

        Raises:
            InputError: the feeds don't fit.
            EngineError: the engine is closed, or the runtime failed.
        """
        with self._lock:
            if self._net is None:
                raise EngineError("The engine is closed.", hint="Open it again with open_engine().")
            check_feeds(self.inputs, feeds)
            check_symbols(self.inputs, feeds)
            try:
                return self._forward(feeds)
            except self._failure as error:
                raise EngineError(
                    f"OpenCV failed: {_reason(error)}", hint="Check the network with `edgeproof check`."
                ) from error

    def close(self) -> None:
        """Free the network; closing twice is allowed."""
        with self._lock:
            self._net = None

    def __enter__(self) -> OpenCv:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
