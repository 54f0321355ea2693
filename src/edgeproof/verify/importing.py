"""Bringing a network in: read, check against the original, keep."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import UsageError
from edgeproof.core.files import check_writable, storage_error
from edgeproof.engines import open_engine
from edgeproof.formats import read_network
from edgeproof.formats.onnx import save_model
from edgeproof.verify.conversion import ConversionCheck, check_conversion, save_failing
from edgeproof.verify.samples import find_samples, sample_inputs


@dataclass(frozen=True)
class ImportResult:
    """A network that was brought in.

    Attributes:
        output: the .onnx file that was written.
        notes: what was changed or assumed on the way.
        check: how it compares with the original.
        kept: the input that shows a difference, an .npz file; None where there is none.
    """

    output: Path
    notes: tuple[str, ...]
    check: ConversionCheck
    kept: Path | None

    def as_json(self) -> dict[str, object]:
        """CONTRACT's document of `import`."""
        checks = [
            {
                "output": found.output,
                "max_abs": found.max_abs,
                "max_rel": found.max_rel,
                "cosine": found.cosine,
            }
            for found in self.check.differences
        ]
        return {
            "output": str(self.output),
            "checks": checks,
            "verdict": self.check.verdict,
            "reason": self.check.reason or None,
            "tolerance": self.check.tolerance,
            "inputs": self.check.inputs,
            "kept": str(self.kept) if self.kept else None,
            "notes": list(self.notes),
        }


def import_network(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> ImportResult:
    """Turn a network of any format into one .onnx file, and check it against the original.

    One that differs from the original never gets the name that was asked for: it becomes `NAME.differs.onnx`, with the
    input that shows it in `NAME.differs.npz`.

    Arguments:
        source: a file of a format in `edgeproof.formats`.
        out: the .onnx file; None for the source's name with that suffix, in the current folder.
        data: a folder of photos to compare on; None for seeded noise.
        seed: of the noise.

    Raises:
        NotFoundError, ModelError, MissingExtraError: the source isn't there, can't be read, or needs a library.
        UsageError: `out` is the source itself, or has another suffix.
        DataError: not one photo can be read.
        StorageError: disk full, or no permission.
    """
    origin = Path(source)
    output = Path(out) if out is not None else Path(f"{origin.stem}.onnx")
    _check_place(origin, output)
    imported = read_network(origin)
    photos = find_samples(Path(data)) if data is not None else []
    with tempfile.TemporaryDirectory(prefix="edgeproof-import-") as folder:
        made = Path(folder) / "imported.onnx"
        save_model(imported.model, made)
        with open_engine(made) as engine:
            specs = engine.inputs
        check = check_conversion(origin, made, sample_inputs(specs, photos, seed=seed))
    kept = None
    if check.verdict == "differs":
        output = output.with_suffix(".differs.onnx")
        if check.failing is not None:
            kept = output.with_suffix(".npz")
            save_failing(check.failing, kept)
    save_model(imported.model, output)
    return ImportResult(output, imported.notes, check, kept)


def _check_place(origin: Path, output: Path) -> None:
    if output.suffix.lower() != ".onnx":  # with another suffix it could replace a part of the source
        raise UsageError(
            f"{output} doesn't end in .onnx.", hint="An import makes an ONNX file: --out NAME.onnx"
        )
    try:
        if output.exists() and origin.exists() and output.samefile(origin):
            raise UsageError(
                f"{output} is the network to import itself, which stays as it is.",
                hint="Choose another name: --out NAME.onnx",
            )
        if output.is_dir():
            raise UsageError(f"{output} is a folder.", hint="Choose another name: --out NAME.onnx")
    except OSError as error:
        raise storage_error(output, error) from error
    except ValueError as error:  # a path with a NUL in it
        raise UsageError(f"{str(output)!r} isn't a path.", hint="Check the spelling of the path.") from error
    check_writable(output)
