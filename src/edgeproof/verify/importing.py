"""Bringing a network in: read, check against the original, keep."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgeproof.core.errors import ModelError
from edgeproof.engines import open_engine
from edgeproof.engines.shapes import parse_shapes
from edgeproof.formats import is_factory, read_network
from edgeproof.formats.onnx import save_model
from edgeproof.verify.conversion import check_conversion
from edgeproof.verify.converted import Converted, check_place, name_by_verdict
from edgeproof.verify.samples import find_samples, sample_inputs


def import_network(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
    input_shape: str = "",
    random_weights: int | None = None,
) -> Converted:
    """Turn a network of any format into one .onnx file, and check it against the original.

    One that differs from the original never gets the name that was asked for: it becomes `NAME.differs.onnx`, with the
    input that shows it in `NAME.differs.npz`.

    Arguments:
        source: a file of a format in `edgeproof.formats`, or `package.module:factory`, which is imported and run.
        out: the .onnx file; None for the source's name with that suffix, in the current folder.
        data: a folder of photos to compare on; None for seeded noise.
        seed: of the noise.
        input_shape: for PyTorch sources that don't tell it: "1x3x224x224", "Nx3x224x224" for any batch, or
            "a=1x3x8x8,b=1x4" for several inputs.
        random_weights: for a Caffe topology whose .caffemodel isn't there: the seed of weights by chance.

    Raises:
        NotFoundError, ModelError, MissingExtraError: the source isn't there, can't be read, or needs a library.
        UsageError: `out` is the source itself, or has another suffix; `input_shape` can't be read, is missing or is
            not for this format.
        DataError: not one photo can be read.
        StorageError: disk full, or no permission.
    """
    origin = Path(source)
    stem = origin.name.rpartition(":")[2] if is_factory(source) else origin.stem
    output = Path(out) if out is not None else Path(f"{stem}.onnx")
    check_place(origin, output, ".onnx", "an ONNX file")
    shapes = parse_shapes(input_shape, [])
    imported = read_network(origin, input_shape=shapes, random_weights=random_weights)
    photos = find_samples(Path(data)) if data is not None else []
    with tempfile.TemporaryDirectory(prefix="edgeproof-import-") as folder:
        made = Path(folder) / "imported.onnx"
        save_model(imported.model, made)
        try:
            with open_engine(made) as engine:
                specs = engine.inputs
        except ModelError as error:  # which names a file that the user has never seen
            raise ModelError(error.message.replace(str(made), str(origin)), hint=error.hint) from error
        if imported.save_original:
            origin = Path(folder) / "original.pt2"
            imported.save_original(origin)
        check = check_conversion(origin, made, sample_inputs(specs, photos, seed=seed))
    output, kept = name_by_verdict(output, check)
    save_model(imported.model, output)
    return Converted(output, imported.notes, check, kept)
