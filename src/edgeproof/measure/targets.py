"""From what a user names to the networks that are measured: a bundle, a model file, a name of the catalogue."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.bundles.bundle import is_bundle, open_bundle
from edgeproof.bundles.store import find_model
from edgeproof.core.errors import ModelError, UsageError
from edgeproof.core.files import storage_error
from edgeproof.core.options import Options
from edgeproof.core.tensor import Array, TensorSpec
from edgeproof.engines import ENGINES, open_engine
from edgeproof.engines.onnx_signature import read_signature
from edgeproof.engines.shapes import parse_shapes
from edgeproof.formats import is_factory
from edgeproof.measure.inputs import by_chance, known_shapes, of_golden, of_pictures, write_rows
from edgeproof.measure.runs import Variant

# What runs a file where nobody says; all others are turned into ONNX for ONNX Runtime.
_OWN = {
    ".tflite": "litert",
    ".xml": "openvino",
    ".param": "ncnn",
    ".plan": "tensorrt",
    ".engine": "tensorrt",
    ".json": "null",
}
# What each takes as it is; what it doesn't becomes ONNX first where it takes that, and is refused by the engine else.
_TAKES = {
    "onnxruntime": (".onnx", ".ort"),
    "openvino": (".onnx", ".xml"),
    "opencv": (".onnx", ".caffemodel", ".prototxt", ".pb"),
    "tensorrt": (".onnx", ".plan", ".engine"),
}


@dataclass(frozen=True)
class Wishes:
    """How the targets are to be measured.

    Attributes:
        engines, threads, batches: each combination is a variant; none of one kind leaves it to the target.
        options: of the engines.
        pictures: uint8 (H, W, 3) RGB that feed networks; none for values by chance.
        input_shape: sizes that a network leaves open, as `engines.shapes.parse_shapes` reads them.
        sides: of a picture in pixels, by the task of the catalogue, for networks that take any size.
        seed: of values by chance.
    """

    engines: Sequence[str] = ()
    threads: Sequence[int] = ()
    batches: Sequence[int] = ()
    options: Options = field(default_factory=dict)
    pictures: Sequence[NDArray[np.uint8]] = ()
    input_shape: str = ""
    sides: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for engine in self.engines:
            ENGINES.load(engine)  # a name that is no engine's is told before anything is measured


@dataclass(frozen=True)
class Named:
    """A variant, and what a reader of its row must know.

    Attributes:
        about: its target as the user named it, and notes.
    """

    variant: Variant
    about: dict[str, Any]


def network_variants(target: str, label: str, wishes: Wishes, work: Path) -> list[Named]:
    """The variants of a network.

    Arguments:
        target: a bundle, a model file of any format, `package.module:factory`, or a name of the catalogue.
        label: what the ids of its variants begin with.
        work: a folder for what the processes read; it must stay until they are done.

    Raises:
        NotFoundError, ModelMissingError, ModelError, BundleError, MissingExtraError, StorageError: it can't be read.
        UsageError: its sizes are open; or an engine was given for a bundle.
        UnknownNameError: no engine of that name.
    """
    source = Path(target)
    if is_bundle(source):
        return _of_bundle(target, label, wishes, work)
    side = None
    if not is_factory(target):
        found = find_model(target)
        source, side = found.path, wishes.sides.get(found.entry.task) if found.entry else None
    variants = []
    for engine in wishes.engines or [_OWN.get(source.suffix.lower(), "onnxruntime")]:
        file = _file_for(engine, source, work)
        inputs = _inputs(file, engine, wishes.options)
        for batch in wishes.batches or (None,):
            given = parse_shapes(wishes.input_shape, [spec.name for spec in inputs])
            shapes = known_shapes(inputs, given, batch, side)
            if wishes.pictures:
                rows, note = of_pictures(inputs, shapes, wishes.pictures, wishes.seed), ""
            else:
                rows = by_chance(inputs, shapes, wishes.seed)
                note = f"inputs by chance (seed {wishes.seed}): {_said(shapes)}"
            feeds = _Feeds(shapes, rows, [note] if note else [])
            for threads in wishes.threads or [1]:
                made = _variant(label, file, engine, "cpu", threads, wishes.options, feeds, work)
                variants.append(Named(made, {"target": target, "notes": feeds.notes}))
    return variants


@dataclass(frozen=True)
class _Feeds:
    shapes: Mapping[str, tuple[int, ...]]
    rows: Mapping[str, Array]
    notes: list[str]

    @property
    def batch(self) -> int:
        return next((shape[0] for shape in self.shapes.values() if len(shape) > 1), 1)


def _of_bundle(target: str, label: str, wishes: Wishes, work: Path) -> list[Named]:
    if wishes.engines or wishes.options or wishes.input_shape:
        raise UsageError(
            f"{target} is a bundle, which names its engine, options and sizes itself.",
            hint="Leave yours out, or give a model file.",
        )
    bundle = open_bundle(target)
    need, golden = bundle.manifest.engine, bundle.golden()
    with open_engine(
        bundle.model, engine=need.name, device=need.device, threads=need.threads, options=need.options
    ) as engine:
        inputs = engine.inputs
    known = {name: ("N", *values.shape[1:]) for name, values in golden.inputs.items()}
    variants = []
    for batch, threads in itertools.product(wishes.batches or (None,), wishes.threads or [need.threads]):
        fixed = {spec.name: spec.shape[0] for spec in inputs if spec.shape and isinstance(spec.shape[0], int)}
        given = {name: (fixed.get(name, "N"), *shape[1:]) for name, shape in known.items()}
        shapes = known_shapes(inputs, given, batch, None)
        rows = (
            of_pictures(inputs, shapes, wishes.pictures, wishes.seed)
            if wishes.pictures
            else of_golden(golden.inputs, shapes, inputs)
        )
        feeds = _Feeds(shapes, rows, [] if wishes.pictures else ["inputs: the bundle's golden ones"])
        made = _variant(label, bundle.model, need.name, need.device, threads, need.options, feeds, work)
        variants.append(Named(made, {"target": target, "notes": feeds.notes}))
    return variants


def _variant(
    label: str,
    file: Path,
    engine: str,
    device: str,
    threads: int,
    options: Options,
    feeds: _Feeds,
    work: Path,
) -> Variant:
    id_ = variant_id(label, engine, threads, feeds.batch)
    files = write_rows(feeds.rows, work, "".join(c if c.isalnum() else "-" for c in id_))
    return Variant(id_, file, engine, device, threads, options, batch=feeds.batch, inputs=files, whole=True)


def variant_id(label: str, engine: str, threads: int, batch: int) -> str:
    """`yunet onnxruntime t1`, with ` b4` for a batch of 4."""
    return f"{label} {engine} t{threads}" + (f" b{batch}" if batch != 1 else "")


def _file_for(engine: str, source: Path, work: Path) -> Path:
    takes = _TAKES.get(engine, ())
    if ".onnx" not in takes or source.suffix.lower() in takes:
        return source
    from edgeproof.formats.onnx import one_onnx_file  # needs the onnx library, which a device may not have

    return one_onnx_file(source, work)


def _inputs(file: Path, engine: str, options: Options) -> list[TensorSpec]:
    """What goes into a network; told by the file itself where it can, so that nothing needs to be opened."""
    if file.suffix.lower() == ".onnx":
        try:
            return read_signature(file)[0]
        except ModelError as error:
            raise ModelError(f"{file}: {error.message}", hint=error.hint) from error
        except (OSError, ValueError) as error:  # ValueError: an empty file can't be mapped
            if isinstance(error, OSError):
                raise storage_error(file, error) from error
            with open_engine(file, engine=engine, options=options) as opened:
                return list(opened.inputs)
    with open_engine(file, engine=engine, options=options) as opened:
        return list(opened.inputs)


def _said(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes.values())
