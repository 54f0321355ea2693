"""Reading Caffe: a .prototxt (the layers) and a .caffemodel (their weights), beside each other with one stem."""

from __future__ import annotations

from pathlib import Path

from edgeproof.core.errors import ModelError, NotFoundError
from edgeproof.core.files import storage_error
from edgeproof.formats import Imported
from edgeproof.formats.caffe.graph import Builder
from edgeproof.formats.caffe.layers import LAYERS
from edgeproof.formats.caffe.net import read_net
from edgeproof.formats.caffe.prototxt import parse
from edgeproof.formats.caffe.weights import read_weights
from edgeproof.formats.graph import first_line, onnx_for
from edgeproof.formats.onnx import check_model

# Far above any network's text; the parser has its own bound on characters.
_MAX_TEXT = 16 << 20


def read(path: Path, *, seed: int | None = None) -> Imported:
    """Read a Caffe network into ONNX, as it runs in the test phase.

    Arguments:
        path: the .caffemodel or the .prototxt; the other one has the same stem and stands beside it.
        seed: where there is no .caffemodel: fill the weights with seeded random values, to test the import,
            speed and memory of a topology; without it, that is an error.

    Raises:
        NotFoundError, StorageError: a file isn't there, or can't be read.
        ModelError: damaged, an unknown layer, weights that don't fit; naming the layer and its line.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Importing a Caffe network")
    path = Path(path)
    text, binary = (
        path if path.suffix.lower() == suffix else path.with_suffix(suffix)
        for suffix in (".prototxt", ".caffemodel")
    )
    if not text.exists():
        raise NotFoundError(
            f"There is no {text.name} beside {path}.",
            hint="A caffemodel needs its deploy.prototxt: give it the same name, with the suffix .prototxt.",
        )
    net = read_net(parse(_text(text), str(text)), str(text))
    if seed is None and not binary.exists():
        raise ModelError(
            f"{text} has no weights: there is no {binary.name} beside it.",
            hint="Put the caffemodel there under that name, or try it with weights by chance: --random-weights SEED",
        )
    weights = read_weights(binary) if binary.exists() else None
    build = Builder(net, str(text), weights, seed or 0)
    for place, layer in enumerate(net.layers):
        build.start(place)
        LAYERS[layer.kind](build, layer)
    model = build.finish()
    check_model(model, str(text))
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except (ValueError, RuntimeError) as error:  # InferenceError
        raise ModelError(
            f"{text}: the shapes of its layers don't fit together: {first_line(error)}.",
            hint="Check the input's shape and the layers named.",
        ) from error
    if weights is None:
        build.notes.append(
            f"There were no weights: they are random, from the seed {seed}, and good for nothing else."
        )
    return Imported(model, tuple(build.notes))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TEXT:
            raise ModelError(
                f"{path} is over {_MAX_TEXT >> 20} MB.", hint="A prototxt is text of some kilobytes."
            )
        data = path.read_bytes()
    except OSError as error:
        raise storage_error(path, error) from error
    if not data.strip():
        raise ModelError(f"{path} is empty.", hint="Copy the file again and compare its size.")
    return data.decode("utf-8", errors="replace")
