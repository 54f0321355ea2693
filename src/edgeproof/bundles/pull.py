"""Installing networks of the catalogue: fetched whole, checked, and put in place at once or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from edgeproof.bundles.catalogue import CatalogueModel, ModelFile
from edgeproof.bundles.download import check_address, fetch
from edgeproof.bundles.part import copy, disk_full
from edgeproof.bundles.store import RECORD, FileRecord, Record, expected_digests, models_folder, state
from edgeproof.core.errors import DownloadError, NotFoundError, UsageError, WrongDigestError
from edgeproof.core.files import directory_atomically, sha256_of, storage_error

# Called with a file's name, what is here of it and what it will be in the end, in bytes; None where not known.
Progress = Callable[[str, int, "int | None"], None]

_PAGE = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class Pulled:
    """A model that is installed now.

    Attributes:
        folder: where its files are.
        fetched: false where it was there already.
        digests: the SHA-256 of each file.
        pinned: the files that the catalogue has no digest of; theirs are held to from now on.
    """

    folder: Path
    fetched: bool
    digests: dict[str, str]
    pinned: tuple[str, ...]


def find_mirror(mirror: str | None = None) -> Path | str | None:
    """Where files are fetched from in place of their published addresses: a folder, an address, or None.

    Arguments:
        mirror: a folder or an address; None for EDGEPROOF_MIRROR. The files lie there by their plain names.

    Raises:
        NotFoundError: there is no such folder.
        UsageError: an address that we don't fetch from.
    """
    chosen = mirror if mirror is not None else os.environ.get("EDGEPROOF_MIRROR")
    if not chosen:
        return None
    if "://" in chosen and not chosen.startswith("file://"):
        check_address(chosen)
        return chosen.rstrip("/")
    folder = (
        Path(unquote(urlsplit(chosen).path)) if chosen.startswith("file://") else Path(chosen).expanduser()
    )
    if "\0" in chosen or not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder} to use as a mirror.", hint="Check its spelling.")
    return folder


def pull(
    model: CatalogueModel,
    *,
    mirror: Path | str | None = None,
    offline: bool = False,
    accept_unknown_digest: bool = False,
    progress: Progress = lambda *_: None,
    waiting: Callable[[], None] = lambda: None,
) -> Pulled:
    """Install a model, or see that it is installed and intact.

    Arguments:
        mirror: what `find_mirror` gave. Where there is one, nothing is fetched from elsewhere.
        offline: use no network; only what is installed, or in a mirror that is a folder.
        accept_unknown_digest: fetch files that the catalogue has no digest of, and hold to what came from then on.
        waiting: called when another process is installing the same model, before this one waits for it.

    Raises:
        UsageError: a digest isn't known, and that was not accepted.
        DownloadError: a file can't be fetched.
        WrongDigestError: a file is not the one that the catalogue names; it was not kept.
        StorageError: disk full, or no permission.
    """
    if state(model) == "installed":
        return _pulled(model, fetched=False)
    expected = expected_digests(model)
    unknown = [name for name, digest in expected.items() if digest is None]
    if unknown and not accept_unknown_digest:
        raise UsageError(
            f"The digest of {', '.join(unknown)} is not known, so what comes can't be checked.",
            hint="If you trust where it comes from: --accept-unknown-digest holds to what comes first from then on.",
        )
    if offline and not isinstance(mirror, Path):
        raise DownloadError(
            f"The model {model.name} is not installed, and no network may be used.",
            hint="Leave out --offline and EDGEPROOF_OFFLINE, or pull from a folder: --mirror FOLDER.",
        )
    with _alone(model, waiting):
        if state(model) == "installed":  # by the process that we waited for
            return _pulled(model, fetched=False)
        staging = models_folder() / f".{model.name}.part"
        try:
            _make_room(model, staging)
            for file in model.files:
                _bring(file, expected[file.name], staging, mirror, progress)
            _put_in_place(model, staging)
        except OSError as error:
            raise storage_error(staging, error) from error
        finally:
            with contextlib.suppress(OSError):  # it stays while there is something in it to go on from
                staging.rmdir()
    return _pulled(model, fetched=True)


def _pulled(model: CatalogueModel, *, fetched: bool) -> Pulled:
    known = {file.name: file.sha256 for file in model.files}
    digests = {name: digest or "" for name, digest in expected_digests(model).items()}
    pinned = tuple(name for name, digest in known.items() if digest is None)
    return Pulled(models_folder() / model.name, fetched, digests, pinned)


@contextlib.contextmanager
def _alone(model: CatalogueModel, waiting: Callable[[], None]) -> Iterator[None]:
    """One process at a time installs a model. The lock's file stays: taking it away would race."""
    path = models_folder() / f".{model.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        _lock(handle, path, waiting)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, waiting: Callable[[], None]) -> None:
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        raise storage_error(path, error) from error


def _make_room(model: CatalogueModel, staging: Path) -> None:
    staging.mkdir(exist_ok=True)
    here = sum(file.stat().st_size for file in staging.iterdir())
    free = shutil.disk_usage(staging).free
    if sum(file.bytes or 0 for file in model.files) - here > free:
        raise disk_full(staging)


def _bring(
    file: ModelFile, expected: str | None, staging: Path, mirror: Path | str | None, progress: Progress
) -> None:
    """Have `file` in `staging`, whole and checked."""
    target, part = staging / file.name, staging / f"{file.name}.part"
    if expected and target.is_file() and sha256_of(target) == expected:
        return
    resumed = expected is not None and part.is_file() and part.stat().st_size > 0
    digest = _fetch(file, part, mirror, keep=expected is not None, progress=progress)
    if resumed and digest != expected:  # what was there before may be of another file, or damaged
        part.unlink(missing_ok=True)
        digest = _fetch(file, part, mirror, keep=False, progress=progress)
    if expected and digest != expected:
        part.unlink(missing_ok=True)
        raise WrongDigestError(
            f"{file.name} has the SHA-256 {digest}; {expected} was expected.",
            hint="It is another file, or was changed on its way, and was not kept. Try another mirror.",
        )
    if expected is None:
        _refuse_a_page(file, part)
    part.replace(target)


def _fetch(file: ModelFile, part: Path, mirror: Path | str | None, *, keep: bool, progress: Progress) -> str:
    def step(done: int, total: int | None) -> None:
        progress(file.name, done, total)

    if isinstance(mirror, Path):
        return copy(mirror / file.name, part, size=file.bytes, progress=step)
    url = file.url if mirror is None else f"{mirror}/{quote(file.name)}"
    return fetch(url, part, size=file.bytes, keep=keep, progress=step)


def _refuse_a_page(file: ModelFile, part: Path) -> None:
    with part.open("rb") as opened:
        start = opened.read(256).lstrip().lower()
    if start.startswith(_PAGE) or not start:
        part.unlink()
        raise DownloadError(
            f"What came as {file.name} is a web page or empty, not a model.",
            hint=f"Fetch it with a browser from {file.url}, and pull it from that folder: --mirror FOLDER.",
        )


def _put_in_place(model: CatalogueModel, staging: Path) -> None:
    with directory_atomically(models_folder() / model.name) as building:
        files = {}
        for file in model.files:
            place = building / file.name
            digest = sha256_of(staging / file.name)
            (staging / file.name).replace(place)
            status = place.stat()
            files[file.name] = FileRecord(
                digest, status.st_size, status.st_mtime_ns, status.st_ino, pinned=file.sha256 is None
            )
        (building / RECORD).write_bytes(
            msgspec.json.format(msgspec.json.encode(Record(files)), indent=1) + b"\n"
        )
    shutil.rmtree(staging, ignore_errors=True)
