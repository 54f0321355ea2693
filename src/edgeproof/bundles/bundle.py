"""Packing and opening bundles. Nothing is used before its digest was checked, and no pickle is read."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.bundles import manifest as manifests
from edgeproof.bundles.manifest import FileEntry, Manifest
from edgeproof.core.errors import BundleError, NotFoundError, StorageError, TamperedBundleError
from edgeproof.core.files import check_writable, directory_atomically, sha256_of, storage_error
from edgeproof.core.tensor import Array

MANIFEST, GOLDEN, EVIDENCE = "manifest.json", "golden.npz", "evidence.json"
_MAX_GOLDEN_BYTES = 256 << 20
_MAX_EVIDENCE_BYTES = 256 << 20


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs they gave where the bundle was made, by tensor name."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file was checked against its digest when it was opened."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """The model file."""
        return self.path / self.manifest.model

    def golden(self) -> Golden:
        """The golden tensors.

        Raises:
            BundleError: there are none, or they can't be read.
        """
        arrays = _read_npz(self._listed(GOLDEN))
        return Golden(
            {name[3:]: array for name, array in arrays.items() if name.startswith("in.")},
            {name[4:]: array for name, array in arrays.items() if name.startswith("out.")},
        )

    def evidence(self) -> dict[str, Any]:
        """Raw measurements, accuracy test and verdicts, as `fit` wrote them."""
        data = _read_bounded(self._listed(EVIDENCE), _MAX_EVIDENCE_BYTES)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(
                f"{EVIDENCE} can't be read: {error}.", hint="Build the bundle again."
            ) from error

    def _listed(self, name: str) -> Path:
        if name not in self.manifest.files:  # then its digest was never checked
            raise BundleError(f"{self.path} has no {name}.", hint="Build the bundle again.")
        return self.path / name


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a folder with a manifest."""
    return (Path(path) / MANIFEST).is_file()


def check_place(path: str | os.PathLike[str]) -> None:
    """Check, before any work is done for it, that a bundle can be written to `path`.

    Raises:
        StorageError: something that is not a bundle stands there, or the folder is not ours to write to.
    """
    target = Path(path)
    try:
        if target.exists() and not is_bundle(target) and not (target.is_dir() and not any(target.iterdir())):
            raise StorageError(
                f"{target} is there already and is not a bundle.", hint="Choose another place with --out."
            )
    except OSError as error:
        raise storage_error(target, error) from error
    check_writable(target)


def pack(
    path: str | os.PathLike[str],
    manifest: Manifest,
    *,
    model: bytes,
    golden: Golden,
    evidence: Mapping[str, Any],
) -> Bundle:
    """Write a bundle whole or not at all; an older bundle at `path` is replaced.

    Arguments:
        manifest: everything but `files` and `digest`, which are filled in here.

    Raises:
        StorageError: disk full, no permission, or something that is not a bundle stands at `path`.
    """
    target = Path(path)
    check_place(target)
    buffer = io.BytesIO()
    arrays = {f"in.{name}": array for name, array in golden.inputs.items()}
    arrays.update({f"out.{name}": array for name, array in golden.outputs.items()})
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    contents = {
        manifest.model: model,
        GOLDEN: buffer.getvalue(),
        EVIDENCE: msgspec.json.format(msgspec.json.encode(evidence), indent=1),
    }
    with directory_atomically(target) as folder:
        files = {}
        for name, data in contents.items():
            (folder / name).write_bytes(data)
            files[name] = FileEntry(sha256_of(folder / name), len(data))
        (folder / MANIFEST).write_bytes(manifests.seal(msgspec.structs.replace(manifest, files=files)))
    return open_bundle(target)


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle after checking every digest.

    Raises:
        NotFoundError: there is no bundle at `path`.
        TamperedBundleError: a file is missing, or not what the manifest says.
        NewerBundleError: made by a newer edgeproof.
        BundleError: the manifest can't be read, or names files outside the bundle.
    """
    folder = Path(path)
    if not is_bundle(folder):
        raise NotFoundError(
            f"There is no bundle at {folder}.",
            hint=f"A bundle is a folder with a {MANIFEST}; `edgeproof fit` makes one.",
        )
    manifest = manifests.read(_read_bounded(folder / MANIFEST, manifests.MAX_BYTES))
    for name, entry in manifest.files.items():
        _check(folder / name, entry)
    return Bundle(folder, manifest)


def _check(file: Path, entry: FileEntry) -> None:
    if file.is_symlink():
        raise BundleError(
            f"{file} is a link.",
            hint="Files of a bundle stand in its folder; copy it with links resolved (cp -rL).",
        )
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device could wait for ever
            raise TamperedBundleError(
                f"{file} is not a regular file.", hint="Copy the whole bundle again from its source."
            )
        size = status.st_size
        same = size == entry.bytes and sha256_of(file) == entry.sha256
    except FileNotFoundError as error:
        raise TamperedBundleError(
            f"{file} is missing.", hint="Copy the whole bundle again from its source."
        ) from error
    except OSError as error:
        raise storage_error(file, error) from error
    if not same:
        raise TamperedBundleError(
            f"{file} is not the file that was sealed: "
            + (f"{size} bytes, not {entry.bytes}." if size != entry.bytes else "its digest differs."),
            hint="Copy the bundle again from its source, or build it again with `edgeproof fit`.",
        )


def _read_bounded(file: Path, limit: int) -> bytes:
    try:
        if file.is_symlink() or file.stat().st_size > limit:
            raise BundleError(
                f"{file} is a link or larger than {limit} bytes.", hint="Build the bundle again."
            )
        return file.read_bytes()
    except OSError as error:
        raise storage_error(file, error) from error


def _read_npz(file: Path) -> dict[str, Array]:
    data = _read_bounded(file, _MAX_GOLDEN_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_GOLDEN_BYTES:
                raise BundleError(
                    f"{file} unpacks to more than {_MAX_GOLDEN_BYTES} bytes.", hint="Don't use it."
                )
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
            if not all(isinstance(array, np.ndarray) for array in found.values()):
                raise BundleError(f"{file} holds what is no array.", hint="Build the bundle again.")
            return found
    except BundleError:
        raise
    except Exception as error:  # zip, deflate and npy each raise their own dozen, MemoryError among them
        raise BundleError(f"{file} can't be read: {error}.", hint="Build the bundle again.") from error
