"""Taking a network out: ask whether the target takes it, convert, check against the original, keep."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from edgeproof.bundles.bundle import is_bundle, open_bundle
from edgeproof.core.errors import ModelError, StorageError, UnknownNameError, did_you_mean
from edgeproof.core.files import storage_error
from edgeproof.core.tensor import Array
from edgeproof.engines import ENGINES, open_engine
from edgeproof.engines.shapes import parse_shapes
from edgeproof.formats import EXPORT_SUFFIXES, EXPORTERS, Imported, format_of, is_factory, read_network
from edgeproof.formats.fixed_shape import check_fixed, fed_inputs, fix_shapes
from edgeproof.formats.onnx import save_model
from edgeproof.formats.recipe import OPSETS, ready_for
from edgeproof.formats.support import Support, supported_by
from edgeproof.verify.conversion import check_export
from edgeproof.verify.converted import Converted, check_place, name_by_verdict
from edgeproof.verify.recipes import export_recipe
from edgeproof.verify.samples import find_samples, sample_inputs

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]
Writer = Callable[["onnx.ModelProto", Path], tuple[str, ...]]

# These say which nodes they lack only when asked; the other writers name them all when they refuse.
_ASKED_FIRST = ("openvino", "tensorrt")
_NEED_FIXED_SIZES = {"litert": "LiteRT", "ncnn": "ncnn"}
# OpenVINO's files and ncnn's both have a .bin: of one network they may lie side by side.
_DEFAULT_ENDINGS = {"ncnn": ".ncnn.param"}


def export_network(
    source: str | os.PathLike[str],
    target: str,
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    input_shape: str = "",
    seed: int = 0,
    say: Say = lambda _: None,
) -> Converted:
    """Turn a network of any format into another runtime's file, and check it against the original.

    The original runs in ONNX Runtime, the outcome in its own. One that differs never gets the name that was asked
    for: it becomes `NAME.differs.SUFFIX`, with the input that shows it in `NAME.differs.npz`. What only a device can
    make becomes a recipe, a folder; see `edgeproof.formats.recipe`.

    Arguments:
        source: a bundle, or what `edgeproof.formats.read_network` takes.
        target: a name of `targets()`.
        out: what to write; None for the source's name with the target's suffix, in the current folder. For tensorrt
            a name that ends in .tensorrt asks for a recipe, also where a plan could be built.
        data: a folder of photos to compare on (and to calibrate with, in a recipe); None for seeded noise.
        input_shape: sizes for inputs that have open ones, like "1x3x224x224" or "a=1x3x224x224,b=1x2".
        seed: of the noise.
        say: called with what goes on, where it takes long.

    Raises:
        UnknownNameError: no such target, or no such input.
        NotFoundError, ModelError, MissingExtraError: the source isn't there, can't be read, or needs a library; or
            the target can't take it: the message names the nodes.
        UsageError: `out` is the source itself or has another suffix, or `input_shape` doesn't fit.
        DataError: not one photo can be read.
        StorageError: disk full, no permission, or a file there would be lost.
    """
    if target not in targets():
        raise UnknownNameError(f"There is no target {target!r}.", hint=did_you_mean(target, targets()))
    origin = Path(source)
    stem = origin.name.rpartition(":")[2] if is_factory(source) else origin.stem
    makes_recipe = target in OPSETS and not (target == "tensorrt" and _builds_a_plan(out))
    suffix = f".{target}" if makes_recipe else EXPORT_SUFFIXES.get(target, ".plan")
    output = Path(out) if out is not None else Path(f"{stem}{_DEFAULT_ENDINGS.get(target, suffix)}")
    if not makes_recipe:
        check_place(origin, output, suffix, f"a {suffix} file")
    imported, model = _read(origin, input_shape)
    if makes_recipe:
        folder = Path(data) if data is not None else None
        made = export_recipe(model, target, output, name=stem, photos=folder, seed=seed)
    else:
        photos = find_samples(Path(data)) if data is not None else []
        made = _export_file(model, target, output, photos, seed, say)
    return Converted(made.output, (*imported.notes, *made.notes), made.check, made.kept)


def _read(source: Path, input_shape: str) -> tuple[Imported, onnx.ModelProto]:
    """The network as it is read, and with the sizes that were asked for."""
    file = open_bundle(source).model if is_bundle(source) else source
    if input_shape and format_of(file) == "torch":  # whose files don't tell them
        imported = read_network(file, input_shape=parse_shapes(input_shape, []))
        return imported, imported.model
    imported = read_network(file)
    names = [entry.name for entry in fed_inputs(imported.model)]
    shapes = parse_shapes(input_shape, names)
    return imported, fix_shapes(imported.model, shapes) if shapes else imported.model


def targets() -> tuple[str, ...]:
    """What a network can be exported to."""
    return tuple(dict.fromkeys([*EXPORTERS, *OPSETS]))


def _builds_a_plan(out: str | os.PathLike[str] | None) -> bool:
    # A plan only runs on the kind of GPU that built it: with a recipe's name, the recipe for another one is made.
    if out is not None and Path(out).suffix.lower() == ".tensorrt":
        return False
    return "tensorrt" in ENGINES and find_spec("tensorrt") is not None


def _plan_writer(say: Say) -> Writer:
    def write(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
        build_plan = import_module("edgeproof.engines.tensorrt").build_plan
        ready, notes = ready_for(model, "tensorrt")
        source = path.with_name("ready.onnx")
        save_model(ready, source)
        quantised = any(node.op_type == "QuantizeLinear" for node in ready.graph.node)
        build_plan(source, path, precision="int8" if quantised else "f32", say=say)
        return notes

    return write


def _export_file(
    model: onnx.ModelProto,
    target: str,
    output: Path,
    photos: Sequence[NDArray[np.uint8]],
    seed: int,
    say: Say,
) -> Converted:
    if target in _NEED_FIXED_SIZES:
        check_fixed(model, _NEED_FIXED_SIZES[target])
    if target in _ASKED_FIRST:
        _refuse(supported_by(model, target))
    plan = target not in EXPORTERS
    write = _plan_writer(say) if plan else cast(Writer, EXPORTERS.load(target))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # Beside the place where it goes, so that putting it there is a rename.
        with tempfile.TemporaryDirectory(prefix=".edgeproof-", dir=output.parent) as folder:
            original, made = Path(folder) / "original.onnx", Path(folder) / f"made{output.suffix}"
            save_model(model, original)
            notes = write(model, made)
            check = check_export(
                original,
                made,
                target,
                _inputs(original, photos, seed),
                device="cuda" if plan else "cpu",
            )
            output, kept = name_by_verdict(output, check)
            _put(made, output)
    except OSError as error:
        raise storage_error(output, error) from error
    return Converted(output, notes, check, kept)


def _inputs(original: Path, photos: Sequence[NDArray[np.uint8]], seed: int) -> Iterator[dict[str, Array]]:
    with open_engine(original) as engine:
        specs = engine.inputs
    yield from sample_inputs(specs, photos, seed=seed)


def _refuse(support: Support) -> None:
    if support.verdict != "unsupported":
        return
    nodes = ", ".join(f"{node.node!r} ({node.operator})" for node in support.nodes)
    advice = dict.fromkeys(node.workaround for node in support.nodes)
    raise ModelError(
        f"{support.engine} can't take this network: {support.reason}"
        + (f" The nodes: {nodes}." if nodes else ""),
        hint=" ".join(advice) or "Try another target, or export the network again with plainer operators.",
    )


def _put(made: Path, output: Path) -> None:
    """Move a file, and those of the same stem beside it, to their place; the one that was asked for comes last."""
    files = sorted(made.parent.glob(f"{made.stem}.*"), key=lambda file: file == made)
    places = [output.with_name(output.stem + file.name.removeprefix(made.stem)) for file in files]
    for place in places[:-1]:
        if place.exists() and not output.exists():  # of something else, going by its name
            raise StorageError(
                f"{place} is there already, and {output.name} needs a file of that name beside it.",
                hint="Move it away, or choose another name with --out.",
            )
    for file, place in zip(files, places, strict=True):
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
        file.replace(place)
