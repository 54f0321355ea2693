"""The networks of the catalogue that are on this machine.

EDGEPROOF_HOME/models/          (without it: ~/.local/share/edgeproof/models/)
    yunet/
        yunet-n-dynamic.onnx
        installed.json          what was checked when it was put there
    .yunet.part/                a download that is not complete: never counts as installed
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edgeproof.bundles.catalogue import CatalogueModel, catalogue, default_model
from edgeproof.core.errors import (
    ModelMissingError,
    NotFoundError,
    StorageError,
    WrongDigestError,
    did_you_mean,
)
from edgeproof.core.files import sha256_of, storage_error

__all__ = ["FoundModel", "State", "default_model", "find_model", "models_folder", "record_of", "state"]

RECORD = "installed.json"
_MAX_RECORD = 1 << 20
# Reading a larger file in full takes longer than a user waits for a command to start.
_TRUSTED_ABOVE = 64 << 20

State = Literal["installed", "missing", "damaged"]


class FileRecord(msgspec.Struct):
    """What was checked of one file when it was installed.

    Attributes:
        pinned: the catalogue had no digest; this is the one of the first download, and is held to from then on.
    """

    sha256: str
    bytes: int
    mtime_ns: int
    inode: int
    pinned: bool = False


class Record(msgspec.Struct):
    """What installing a model left beside its files."""

    files: dict[str, FileRecord]
    format: int = 1


@dataclass(frozen=True)
class FoundModel:
    """Where a model is.

    Attributes:
        path: the file (or bundle) to open.
        entry: its row of the catalogue; None for a file that the catalogue doesn't know.
    """

    path: Path
    entry: CatalogueModel | None


def data_folder() -> Path:
    """Where models and galleries are kept: EDGEPROOF_HOME, else XDG_DATA_HOME/edgeproof.

    Raises:
        StorageError: neither is set, and there is no home folder.
    """
    home = os.environ.get("EDGEPROOF_HOME")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    try:
        return (Path(home) if home else Path(data) / "edgeproof").expanduser().absolute()
    except RuntimeError as error:  # a user without a home, as in containers
        raise StorageError(
            "There is no home folder to keep models in.", hint="Set EDGEPROOF_HOME to a folder for them."
        ) from error


def models_folder() -> Path:
    """Where installed models are, in `data_folder`; errors as there."""
    return data_folder() / "models"


def record_of(model: CatalogueModel) -> Record | None:
    """What was written when the model was installed; None where it never was, or that file is damaged."""
    file = models_folder() / model.name / RECORD
    try:
        if file.stat().st_size > _MAX_RECORD:
            return None
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(file, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def expected_digests(model: CatalogueModel) -> dict[str, str | None]:
    """The SHA-256 that each file must have: the catalogue's, else the one pinned at the first download."""
    record = record_of(model)
    pinned = {name: file.sha256 for name, file in record.files.items() if file.pinned} if record else {}
    return {file.name: file.sha256 or pinned.get(file.name) for file in model.files}


def state(model: CatalogueModel, *, thorough: bool = True) -> State:
    """Whether a model is installed, and still what was installed.

    Arguments:
        thorough: read every file and compare its digest. Without it, a file over 64 MB whose size, time of change
            and inode are those of its installation is taken to be the same.

    Raises:
        StorageError: the store can't be read.
    """
    folder = models_folder() / model.name
    record = record_of(model)
    expected = expected_digests(model)
    if record is None:
        return "damaged" if folder.is_dir() else "missing"
    for name, digest in expected.items():
        if name not in record.files or not digest:
            return "damaged"
        try:
            if not _intact(folder / name, record.files[name], digest, thorough=thorough):
                return "damaged"
        except FileNotFoundError:
            return "damaged"
        except OSError as error:
            raise storage_error(folder / name, error) from error
    return "installed"


def _intact(file: Path, record: FileRecord, digest: str, *, thorough: bool) -> bool:
    status = file.stat()
    if status.st_size != record.bytes or digest != record.sha256:
        return False
    same = (status.st_mtime_ns, status.st_ino) == (record.mtime_ns, record.inode)
    if same and not thorough and status.st_size > _TRUSTED_ABOVE:
        return True
    return sha256_of(file) == digest


def find_model(model: str | os.PathLike[str]) -> FoundModel:
    """Where a model is, and what the catalogue knows about it.

    Arguments:
        model: a name of the catalogue, or the path of any model file or bundle (`./yunet` where a file has the name of
            a model). A path gets the row of the catalogue whose file has the same digest.

    An installed file is read in full and its digest compared, but for one over 64 MB that has the size, time of change
    and inode that were noted when it was installed.

    Raises:
        ModelMissingError: the model is not installed.
        WrongDigestError: it is installed, and is no longer the file that was.
        NotFoundError: no such name, and no such path.
        StorageError: it can't be read.
    """
    entry = catalogue().get(model) if isinstance(model, str) else None
    if entry is not None:
        return _installed(entry)
    path = Path(model)
    try:
        if not os.fspath(model):
            raise FileNotFoundError
        if path.is_dir():
            return FoundModel(path, None)
        size = path.stat().st_size
        return FoundModel(path, _known(path, size) if path.is_file() else None)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in it
        raise NotFoundError(
            f"There is no model {os.fspath(model)!r}.",
            hint=f"It is no file, and no name of the catalogue. {_near(os.fspath(model))}",
        ) from error
    except OSError as error:
        raise storage_error(path, error) from error


def _near(word: str) -> str:
    answer = did_you_mean(word, catalogue())
    return answer if answer.startswith("Did") else "Its names: edgeproof models list"


def _installed(entry: CatalogueModel) -> FoundModel:
    match state(entry, thorough=False):
        case "missing":
            raise ModelMissingError(
                f"The model {entry.name} is not installed.",
                hint=f"Fetch it: edgeproof models pull {entry.name}",
            )
        case "damaged":
            raise WrongDigestError(
                f"The installed {entry.name} is not what the catalogue names: damaged, or of an older edgeproof.",
                hint=f"Fetch it again: edgeproof models pull {entry.name}",
            )
        case _:
            return FoundModel(models_folder() / entry.name / entry.files[0].name, entry)


def _known(path: Path, size: int) -> CatalogueModel | None:
    rows = _by_size().get(size)
    if not rows:
        return None  # a file of another size is another file: no need to read it
    return rows.get(sha256_of(path))


@functools.cache
def _by_size() -> Mapping[int, Mapping[str, CatalogueModel]]:
    sizes: dict[int, dict[str, CatalogueModel]] = {}
    for model in catalogue().values():
        for file in model.files:
            if file.bytes is not None and file.sha256 is not None:
                sizes.setdefault(file.bytes, {}).setdefault(file.sha256, model)
    return sizes
