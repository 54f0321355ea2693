"""The manifest of a bundle: versioned, validated on reading, with a digest over its own bytes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from edgeproof.core.errors import BundleError, NewerBundleError, TamperedBundleError

FORMAT = 1
MAX_BYTES = 1 << 20
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_UNSEALED = "0" * 64
_SEAL = re.compile(rb'"digest": ?"([0-9a-f]{64})"')


class FileEntry(msgspec.Struct):
    """One file of the bundle."""

    sha256: str
    bytes: int


class EngineNeed(msgspec.Struct):
    """What opens the model."""

    name: str
    minimum_version: str
    device: str = "cpu"
    threads: int = 1
    options: dict[str, bool | int | float | str] = {}


class Manifest(msgspec.Struct, kw_only=True):
    """What a bundle is.

    Attributes:
        format: version of this format; a reader refuses a newer one.
        digest: SHA-256 of the manifest's bytes with this field's digits as zeros.
        name, task: what it does; `settings` are the task's own (threshold, temperature).
        model: the model's file name.
        files: every other file of the bundle, by plain name.
        tolerance: largest relative difference from the golden outputs that still counts as the same.
        host: fingerprint of the machine where the evidence was measured.
    """

    format: int
    digest: str
    name: str
    task: str
    settings: dict[str, float]
    model: str
    engine: EngineNeed
    precision: str
    quantizer: str | None
    tolerance: float
    files: dict[str, FileEntry]
    licence: str
    source: str
    edgeproof: str
    created: str
    host: dict[str, Any]


def seal(manifest: Manifest) -> bytes:
    """The manifest's JSON with its digest filled in."""
    manifest = msgspec.structs.replace(manifest, digest=_UNSEALED)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    return text.replace(_UNSEALED.encode(), _digest(text), 1)


def _digest(data: bytes) -> bytes:
    import hashlib  # brings OpenSSL with it: 4 MB that a process without bundles can do without

    return hashlib.sha256(data).hexdigest().encode()


def read(data: bytes) -> Manifest:
    """Check and decode a manifest.

    Raises:
        NewerBundleError: made by a newer edgeproof.
        TamperedBundleError: its bytes are not those that were sealed.
        BundleError: not a manifest, or one that names files outside the bundle.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"The manifest can't be read: {error}.",
            hint="The bundle is damaged: copy it again from its source.",
        ) from error
    if version > FORMAT:
        raise NewerBundleError(
            f"The bundle has format {version}; this edgeproof reads up to {FORMAT}.",
            hint="Update it: pip install -U edgeproof",
        )
    sealed = _SEAL.search(data)
    if not sealed or _digest(data.replace(sealed.group(1), _UNSEALED.encode(), 1)) != sealed.group(1):
        raise TamperedBundleError(
            "The manifest was changed after it was sealed.", hint="Copy the bundle again from its source."
        )
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BundleError(
            f"The manifest is not complete: {error}.", hint="Build the bundle again."
        ) from error
    for name in (manifest.model, *manifest.files):
        if not _PLAIN_NAME.match(name):
            raise BundleError(
                f"The manifest names the file {name!r}, which is not a plain name inside the bundle.",
                hint="Don't use this bundle: nothing outside its folder is ever opened.",
            )
    if manifest.model not in manifest.files:
        raise BundleError(f"The manifest has no digest for {manifest.model}.", hint="Build the bundle again.")
    return manifest


class _Version(msgspec.Struct):
    format: int
