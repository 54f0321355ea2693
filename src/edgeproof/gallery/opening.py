"""Opening a gallery: the right database, the right key, the right model, or nothing at all."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from pathlib import Path

from edgeproof.bundles.store import data_folder
from edgeproof.core.errors import GalleryError, GalleryKeyError, NotFoundError, UsageError
from edgeproof.gallery.cipher import IDENTITY_BYTES, Cipher
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.index import KINDS
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.schema import SCHEMA, Head
from edgeproof.gallery.sqlite import SqliteStore
from edgeproof.gallery.store import Store

_URLS = ("postgresql://", "postgres://")


def default_gallery() -> str:
    """`EDGEPROOF_GALLERY`, or gallery.db in the user's data folder."""
    return os.environ.get("EDGEPROOF_GALLERY") or str(data_folder() / "gallery.db")


def open_gallery(
    where: str | os.PathLike[str] | None = None,
    key: KeySource | None = None,
    *,
    model_digest: str | None = None,
    dimensions: int | None = None,
    create: bool = False,
    index: str | None = None,
) -> Gallery:
    """Open a gallery, or make it.

    Arguments:
        where: a file, or a postgresql:// address; None for `default_gallery`.
        key: where its master key comes from; None: the environment, or the user's own key file.
        model_digest: SHA-256 of the recogniser's file; None for work that needs no recogniser.
        dimensions: numbers in its embeddings.
        create: make it where there is none; `model_digest` and `dimensions` are then needed.
        index: float32, int8 or faiss; None to choose by how many people there are.

    Raises:
        NotFoundError: there is none, and `create` is false.
        GalleryKeyError: the key is not the one that it was made with; nothing was opened.
        GalleryError: it is of another model, or no gallery.
        NewerGalleryError: made by a newer edgeproof.
        StorageError: the database can't be used.
    """
    if index is not None and index not in KINDS:
        raise UsageError(f"There is no index {index!r}.", hint=f"Known: {', '.join(KINDS)}.")
    place, source = str(where or default_gallery()), key or KeySource()
    store = _connect(place, create=create)
    try:
        cipher, head = _unlock(store, source, model_digest, dimensions, create=create)
        if model_digest is not None:
            check_model(head, model_digest, place=store.place)
    except BaseException:
        store.close()
        raise
    gallery = Gallery(store, cipher, head, index=index)
    try:
        gallery.expire()
    except BaseException:
        gallery.close()
        raise
    return gallery


def folder_of(store: Store) -> Path | None:
    """Where the key must not be; None for a server's store."""
    return store.path.absolute().parent if isinstance(store, SqliteStore) else None


def check_model(head: Head, digest: str, *, place: str) -> None:
    """Check that a gallery belongs to the recogniser of that digest.

    Raises:
        GalleryError: it belongs to another.
    """
    if head.model != digest:
        raise GalleryError(
            f"{place} was made with another recogniser ({head.model[:12]}, not {digest[:12]}): their embeddings"
            " can't be compared.",
            hint="Use that one (--recognizer), or move the gallery to this one with `edgeproof faces migrate`.",
        )


def _connect(place: str, *, create: bool) -> Store:
    if place.startswith(_URLS):
        from edgeproof.gallery.postgres import PostgresStore

        return PostgresStore(place)
    return SqliteStore(place, create=create)


def _unlock(
    store: Store, source: KeySource, model: str | None, dimensions: int | None, *, create: bool
) -> tuple[Cipher, Head]:
    if not store.has_tables():
        if not create:
            raise NotFoundError(
                f"There is no gallery at {store.place}.",
                hint="Enrol someone first, with `edgeproof faces enroll NAME IMG`.",
            )
        _make(store, source, model, dimensions)
    head = store.head()
    cipher = Cipher(source.existing(head.key_from, folder_of(store)), head.identity)
    if not hmac.compare_digest(cipher.check, head.key_check):
        raise GalleryKeyError(
            f"This is not the key that {store.place} was made with; nothing was opened.",
            hint="Check --key-file, EDGEPROOF_GALLERY_KEY_FILE, EDGEPROOF_GALLERY_KEY or the passphrase.",
        )
    return cipher, head


def _make(store: Store, source: KeySource, model: str | None, dimensions: int | None) -> None:
    if not model or not dimensions:
        raise UsageError(
            "A new gallery needs the recogniser it is for.", hint="Give model_digest and dimensions."
        )
    master, how = source.fresh(folder_of(store))
    identity = secrets.token_bytes(IDENTITY_BYTES)
    check = Cipher(master, identity).check
    store.create(Head(SCHEMA, identity, check, how, model, dimensions, created=int(time.time())))
