"""Moving a gallery to another model or another master key, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from edgeproof.core.errors import GalleryError
from edgeproof.gallery.cipher import Cipher
from edgeproof.gallery.columns import Floats
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.index import unit

# Encoded crops of aligned faces -> their embeddings (n, D) by the new model.
Embed = Callable[[Sequence[bytes]], Floats]
_BATCH = 64


@dataclass(frozen=True)
class Migrated:
    """How many templates were embedded again, and how many had no crop and went."""

    templates: int
    dropped: int


def migrate(
    gallery: Gallery, embed: Embed, *, model_digest: str, dimensions: int, drop: bool = False
) -> Migrated:
    """Embed every kept crop again with another recogniser. The gallery must be opened again afterwards.

    Arguments:
        embed: the new recogniser.
        model_digest: SHA-256 of its file.
        dimensions: numbers in its embeddings.
        drop: delete templates that have no crop, instead of refusing. Their people stay, to be enrolled again.

    The gallery's own threshold and margin go: they were of the other model.

    Raises:
        GalleryError: some have no crop; or somebody wrote to the gallery meanwhile.
    """
    store, cipher = gallery.store, gallery.cipher
    with store.reading():
        revision = store.head().revision
        without = sum(templates - crops for templates, crops in store.counts().values())
        if without and not drop:
            raise GalleryError(
                f"{without} templates of {gallery.place} have no kept crop to embed again.",
                hint="Enrol those people again with --keep-crops, or give --drop to let these templates go.",
            )
        vectors = _embedded(gallery, embed, dimensions)
    with store.changing("migrate") as change:
        if change.head.revision != revision + 1:
            raise GalleryError(
                f"Somebody wrote to {gallery.place} while it was embedded again; nothing was changed.",
                hint="Try again when it is quiet.",
            )
        for row in list(store.templates()):
            if row.template not in vectors:
                change.remove_template(row.template)
                continue
            key = cipher.unwrap(row.person, bytes(row.wrapped))
            data = vectors[row.template].astype("<f4").tobytes()
            change.replace_template(row.template, key.seal(data, "template", row.template, model_digest))
        change.settle(model=model_digest, dimensions=dimensions, threshold=None, margin=None)
        change.count = len(vectors)
    store.scrub()
    return Migrated(len(vectors), without)


def _embedded(gallery: Gallery, embed: Embed, dimensions: int) -> dict[int, Floats]:
    store, vectors = gallery.store, {}
    rows = iter(list(store.templates()))
    while batch := list(islice(rows, _BATCH)):
        crops: dict[int, bytes] = {}
        for row in batch:
            if (sealed := store.crop(row.template)) is not None:
                key = gallery.cipher.unwrap(row.person, bytes(row.wrapped))
                crops[row.template] = key.open(sealed, "crop", row.template)
        if crops:
            found = np.asarray(embed(list(crops.values())))
            vectors.update({t: unit(one, dimensions) for t, one in zip(crops, found, strict=True)})
    return vectors


def rekey(gallery: Gallery, master: bytes, how: str | None) -> None:
    """Wrap every person's key with another master key. The gallery must be opened again afterwards.

    Arguments:
        master: the new key, 32 bytes.
        how: how a passphrase gives it (`Head.key_from`).

    Templates and crops stay as they are: they are sealed with the people's own keys.
    """
    store, old = gallery.store, gallery.cipher
    new = Cipher(master, gallery.head.identity)
    with store.changing("rekey") as change:
        people = list(store.people())
        for row in people:
            wrapped = bytes(row.wrapped)
            name = old.unwrap(row.person, wrapped).open(bytes(row.name), "name").decode()
            change.replace_key(row.person, old.rewrap(row.person, wrapped, new), new.lookup(name))
        change.settle(key_check=new.check, key_from=how)
        change.count = len(people)
    store.scrub()
