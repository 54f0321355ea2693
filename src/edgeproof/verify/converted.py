"""What an import or an export leaves behind, and under which name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeproof.core.errors import UsageError
from edgeproof.core.files import check_writable, storage_error
from edgeproof.verify.conversion import ConversionCheck, save_failing


@dataclass(frozen=True)
class Converted:
    """A network that was brought into another format.

    Attributes:
        output: what was written.
        notes: what was changed or assumed on the way.
        check: how it compares with the original.
        kept: the input that shows a difference, an .npz file; None where there is none.
    """

    output: Path
    notes: tuple[str, ...]
    check: ConversionCheck
    kept: Path | None

    def as_json(self) -> dict[str, object]:
        """CONTRACT's document of `import` and `export`."""
        return {
            "output": str(self.output),
            **self.check.as_json(),
            "kept": str(self.kept) if self.kept else None,
            "notes": list(self.notes),
        }


def name_by_verdict(output: Path, check: ConversionCheck) -> tuple[Path, Path | None]:
    """Under which name the outcome is kept; one that differs never gets the name that was asked for.

    That becomes `NAME.differs.SUFFIX`, and the input that shows it is written to `NAME.differs.npz`.

    Returns:
        The name, and that input's file.

    Raises:
        StorageError: disk full, or no permission.
    """
    if check.verdict != "differs":
        return output, None
    output = output.with_suffix(f".differs{output.suffix}")
    if check.failing is None:
        return output, None
    kept = output.with_suffix(".npz")
    save_failing(check.failing, kept)
    return output, kept


def check_place(source: Path, output: Path, suffix: str, what: str) -> None:
    """Check that a file can be written to `output`, before work is done that would be lost.

    Arguments:
        source: the network to convert, which has to stay.
        output: where the outcome goes.
        suffix: what its name has to end in; with another one it could replace a part of the source.
        what: the kind of file, with its article, like "an ONNX file".

    Raises:
        UsageError: another suffix, `output` is the source itself, or a folder.
        StorageError: no permission.
    """
    hint = f"Choose another name: --out NAME{suffix}"
    if output.suffix.lower() != suffix:
        raise UsageError(f"{output} doesn't end in {suffix}.", hint=f"This makes {what}: --out NAME{suffix}")
    try:
        if output.exists() and source.exists() and output.samefile(source):
            raise UsageError(f"{output} is the network to convert itself, which stays as it is.", hint=hint)
        if output.is_dir():
            raise UsageError(f"{output} is a folder, and this makes {what}.", hint=hint)
    except OSError as error:
        raise storage_error(output, error) from error
    except ValueError as error:  # a path with a NUL in it
        raise UsageError(f"{str(output)!r} isn't a path.", hint="Check the spelling of the path.") from error
    check_writable(output)
