"""Recipes: their golden and calibration tensors, and whether the ONNX in them still answers as the original."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import StorageError
from edgeproof.core.files import check_writable, directory_atomically, storage_error
from edgeproof.core.tensor import Array, Tensors, TensorSpec
from edgeproof.engines import open_engine
from edgeproof.formats.onnx import save_model
from edgeproof.formats.recipe import TFLITE, Samples, ready_for, write_recipe
from edgeproof.verify.conversion import TOLERANCE, check_export, known_ranges
from edgeproof.verify.converted import Converted, name_by_verdict
from edgeproof.verify.samples import ZERO_TO_ONE, find_samples, sample_inputs

if TYPE_CHECKING:
    import onnx

CALIBRATION_MOST = 200
_CALIBRATION_BYTES_MOST = 256 << 20
_GOLDEN = 4
_OURS = ("build.sh", "check.py", "golden.npz")


def export_recipe(
    model: onnx.ModelProto, target: str, output: Path, *, name: str, photos: Path | None, seed: int
) -> Converted:
    """Write what it takes to make and check a device's own file there; whole or not at all.

    The verdict is "not checked", unless the ONNX file in the folder differs from the original.

    Arguments:
        model: the network.
        target: a name of `edgeproof.formats.recipe.OPSETS`.
        output: the folder.
        name: what its README calls the network.
        photos: a folder of photos for calibration, up to 200 of which are taken; None for seeded noise.
        seed: of the noise.

    Raises:
        ModelError: a size that has to be fixed is open, or ONNX Runtime can't run the network.
        DataError: not one photo can be read.
        StorageError: disk full, no permission, or something stands at `output` that is no recipe.
    """
    _check_folder(output)
    ready, notes = ready_for(model, target)
    with tempfile.TemporaryDirectory(prefix="edgeproof-recipe-") as work:
        original, made = Path(work) / "original.onnx", Path(work) / "ready.onnx"
        save_model(model, original)
        save_model(ready, made)
        with open_engine(made) as engine:
            feeds, count = _feeds(engine.inputs, photos, seed)
        with open_engine(original) as engine:
            golden = [(one, engine.run(one)) for one in feeds[:_GOLDEN]]
        check = check_export(original, made, "onnxruntime", feeds[:_GOLDEN], at_least=TOLERANCE)
    if check.verdict == "ok":
        check = replace(
            check,
            verdict="not checked",
            reason="The ONNX file in the folder answers as the original. The device's own file is made and checked on "
            "the device: sh build.sh, then python3 check.py.",
        )
    output, kept = name_by_verdict(output, check)
    samples = Samples(golden, _stacked(feeds), count, known_ranges(ready))
    with directory_atomically(output) as folder:
        notes = (*notes, *write_recipe(target, ready, folder, name=name, samples=samples))
        if (folder / TFLITE).is_file():
            tflite = check_export(folder / "model.onnx", folder / TFLITE, "litert", feeds[:_GOLDEN])
            notes = (*notes, f"{TFLITE} in the folder: {tflite.verdict}. {tflite.reason}".rstrip())
    return Converted(output, notes, check, kept)


def _feeds(specs: Sequence[TensorSpec], photos: Path | None, seed: int) -> tuple[list[dict[str, Array]], int]:
    """The calibration inputs, values 0 to 1, and how many photos they are made of."""
    if photos is None:
        return list(sample_inputs(specs, seed=seed, ranges=[ZERO_TO_ONE] * _GOLDEN)), 0
    bytes_each = sum(
        math.prod(size for size in spec.shape if isinstance(size, int)) * np.dtype(spec.dtype).itemsize
        for spec in specs
    )
    most = max(1, min(CALIBRATION_MOST, _CALIBRATION_BYTES_MOST // max(1, bytes_each)))
    sides = [size for spec in specs if len(spec.shape) == 4 for size in spec.shape if isinstance(size, int)]
    pictures = find_samples(photos, most=most, cover=max(sides, default=1))
    return list(sample_inputs(specs, pictures, seed=seed, ranges=[ZERO_TO_ONE])), len(pictures)


def _stacked(feeds: Sequence[Tensors]) -> dict[str, Array]:
    """One array for each input, with the inputs one after another along the first axis."""
    return {
        name: np.concatenate([np.atleast_1d(one[name]) for one in feeds])
        for name in (feeds[0] if feeds else ())
    }


def _check_folder(output: Path) -> None:
    try:
        there = output.exists() and not (output.is_dir() and not any(output.iterdir()))
        if there and not all((output / name).is_file() for name in _OURS):
            raise StorageError(
                f"{output} is there already and is no recipe.", hint="Choose another folder with --out."
            )
    except OSError as error:
        raise storage_error(output, error) from error
    check_writable(output)
