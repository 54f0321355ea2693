"""Recipes: a folder with what it takes to make and check a device's own file on that device.

What the compilers take: TensorRT 11 documents opsets 9 to 25 (TensorRT, ONNX Opset Guide), CANN 9 to 18 (CANN 7.0, ATC,
ONNX operator specifications). The texts lie in `recipes/TARGET/`; a word like @NAME@ in them is replaced.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import MissingExtraError, ModelError, UnknownNameError, did_you_mean
from edgeproof.core.files import storage_error
from edgeproof.core.tensor import Array, Tensors
from edgeproof.formats import EXPORTERS
from edgeproof.formats.fixed_shape import check_fixed, fed_inputs, fix_shapes, has_open_batch
from edgeproof.formats.graph import copy_of, first_line, onnx_for, opset_of
from edgeproof.formats.onnx import save_model
from edgeproof.formats.opset import lift
from edgeproof.formats.tensors import npz_bytes

if TYPE_CHECKING:
    import onnx

# Target to the first and the last opset that its compiler documents.
OPSETS = {"tensorrt": (9, 25), "ascend": (9, 18), "edgetpu": (9, 25)}
TFLITE = "model.tflite"
_RECIPES = Path(__file__).parent / "recipes"
_QUANTISE_IN_VAIN = (
    "The calibration here is noise, which shows shapes and nothing else: a network quantised with it is worthless. "
    "Make this folder again with `--data` and a folder of photos, or put your own tensors into `calibration.npz`."
)
_CHECK_PREPARATION = (
    "The photos in `calibration.npz` are RGB, cropped to the middle and scaled to values from 0 to 1, since nobody can "
    "tell from a network how its pictures were prepared. If yours were prepared otherwise (other ranges, means, BGR), "
    "put your own tensors there first, under the same names: what is quantised on the wrong values is wrong."
)


@dataclass(frozen=True)
class Samples:
    """The tensors of a recipe.

    Attributes:
        golden: inputs, each with the outputs that ONNX Runtime gave.
        calibration: inputs, one after another along the first axis, by name.
        photos: how many photos the calibration was made of; 0 for noise.
        ranges: how far apart the values of an output can be, where that is known.
    """

    golden: Sequence[tuple[Tensors, Tensors]]
    calibration: Mapping[str, Array]
    photos: int
    ranges: Mapping[str, float]


def ready_for(model: onnx.ModelProto, target: str) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy with fixed shapes (a batch of any size becomes 1), in an opset that the target documents; and notes.

    Raises:
        UnknownNameError: no target of that name.
        ModelError: another size than the batch is open.
    """
    if target not in OPSETS:
        raise UnknownNameError(f"There is no recipe for {target!r}.", hint=did_you_mean(target, OPSETS))
    check_fixed(model, "A device's compiler")
    notes = ("The batch is fixed at 1.",) if has_open_batch(model) else ()
    fixed = fix_shapes(model, {}, batch=1)
    fixed, more = _within(fixed, *OPSETS[target])
    return fixed, (*notes, *more)


def _within(model: onnx.ModelProto, first: int, last: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    lifted, notes = lift(model, first)
    version = opset_of(lifted)
    if version <= last:
        return lifted, notes
    onnx = onnx_for("Writing a network in older operators")
    try:
        lowered = onnx.version_converter.convert_version(copy_of(lifted), last)
    except Exception as error:  # ConvertError, RuntimeError, ValueError: its C++ raises what it likes
        return lifted, (
            *notes,
            f"It is written in opset {version}, the compiler documents opsets up to {last}, and it can't be lowered "
            f"({first_line(error)}): if the compiler refuses it, export it again with opset {last}.",
        )
    return lowered, (*notes, f"The operators were lowered from opset {version} to {last}.")


def write_recipe(
    target: str, model: onnx.ModelProto, folder: Path, *, name: str, samples: Samples
) -> tuple[str, ...]:
    """Fill an empty folder; gives notes.

    Arguments:
        target: a name of `OPSETS`.
        model: see `ready_for`.
        folder: where the files go.
        name: what the README calls the network.
        samples: the golden and the calibration tensors.

    Raises:
        ModelError: over 2 GB.
        StorageError: disk full, or no permission.
    """
    notes: tuple[str, ...] = ()
    words = _words(model, name, samples)
    try:
        save_model(model, folder / "model.onnx")
        if target == "edgetpu":
            tflite, notes = _write_tflite(model, folder)
            words |= tflite
        (folder / "golden.npz").write_bytes(npz_bytes(_golden(samples)))
        (folder / "calibration.npz").write_bytes(npz_bytes(samples.calibration))
        for source in (_RECIPES / "check.py", *sorted((_RECIPES / target).iterdir())):
            text = source.read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace(f"@{word}@", value)
            (folder / source.name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise storage_error(folder, error) from error
    return notes


def _words(model: onnx.ModelProto, name: str, samples: Samples) -> dict[str, str]:
    inputs = {
        entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in fed_inputs(model)
    }
    shapes = ";".join(f"{input_}:{','.join(map(str, sizes))}" for input_, sizes in inputs.items())
    rows = max((len(values) for values in samples.calibration.values()), default=0)
    made_of = f"{samples.photos} photos" if samples.photos else "noise: good for shapes only"
    return {
        "NAME": name,
        "OPSET": str(opset_of(model)),
        "INPUTS": ", ".join(f"`{input_}` {'x'.join(map(str, sizes))}" for input_, sizes in inputs.items()),
        "GOLDEN": str(len(samples.golden)),
        "ROWS": str(rows),
        "CALIBRATION": f"{rows} inputs to quantise with, made of {made_of}",
        "CALIBRATION_NOTE": _CHECK_PREPARATION if samples.photos else _QUANTISE_IN_VAIN,
        "SHAPES": shlex.quote(shapes),
        "DATA_DIRS": shlex.quote(";".join(f"calibration/{place}" for place in range(len(inputs)))),
        "DATA_TYPES": shlex.quote(";".join(values.dtype.name for values in samples.calibration.values())),
    }


def _golden(samples: Samples) -> dict[str, Array]:
    """The golden tensors as one .npz: `range.NAME`, `0.in.NAME`, `0.out.NAME`, `1.in.NAME` and so on."""
    tensors: dict[str, Array] = {f"range.{name}": np.array(value) for name, value in samples.ranges.items()}
    for number, pair in enumerate(samples.golden):
        for kind, arrays in zip(("in", "out"), pair, strict=True):
            tensors |= {f"{number}.{kind}.{name}": np.asarray(array) for name, array in arrays.items()}
    return tensors


def _write_tflite(model: onnx.ModelProto, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    try:
        notes: tuple[str, ...] = EXPORTERS.load("litert")(model, folder / TFLITE)
    except (ModelError, MissingExtraError) as error:
        return {
            "TFLITE_ROW": "",
            "TFLITE_NOTE": f"None could be made here: {error} Convert `model.onnx` with another converter to a float "
            "TFLite file, put it here as `model.tflite`, and go on with step 1.",
        }, (f"The folder has no .tflite file: {error.message}",)
    return {
        "TFLITE_ROW": "| `model.tflite` | the same network, float32 |\n",
        "TFLITE_NOTE": "Not needed here: `model.tflite` is there.",
    }, notes
