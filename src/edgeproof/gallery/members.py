"""The people of a gallery in this process's memory: loaded from the store, and kept up with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from edgeproof.core.errors import GalleryKeyError, StorageError
from edgeproof.gallery.cipher import Cipher, PersonKey
from edgeproof.gallery.columns import Floats
from edgeproof.gallery.index import BYTES_FROM, FAISS_FROM, KINDS, Index, Near
from edgeproof.gallery.schema import Head, TemplateRow
from edgeproof.gallery.store import Store

_BATCH = 1024
# How long a lost connection is left alone before it is tried again.
_TRY_AGAIN_S = 5.0


def embeddings_of(
    rows: Iterable[TemplateRow], cipher: Cipher, head: Head
) -> Iterator[tuple[TemplateRow, Floats]]:
    """Open templates, one after the other.

    Raises:
        TamperedTemplateError: naming the first row that isn't what was sealed.
    """
    last, key = 0, None
    for row in rows:
        if key is None or row.person != last:
            last, key = row.person, cipher.unwrap(row.person, bytes(row.wrapped))
        yield row, embedding_of(row, key, head)


def embedding_of(row: TemplateRow, key: PersonKey, head: Head) -> Floats:
    """A template's float32 (D,)."""
    data = key.open(bytes(row.sealed), "template", row.template, head.model)
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


class Members:
    """An index of all templates, that follows the store. Not thread-safe: the gallery takes turns.

    Arguments:
        kind: of the index (`index.KINDS`); None: by how many there are and what is installed.
    """

    def __init__(self, store: Store, cipher: Cipher, head: Head, *, kind: str | None = None) -> None:
        self._store, self._cipher, self._head, self._kind = store, cipher, head, kind
        self._revision = self._last = -1
        self._index: Index | None = None
        self._names: dict[int, str] = {}
        self._next_try, self._behind = 0.0, True
        self.lost: StorageError | None = None

    @property
    def index(self) -> Index:
        """As of the last `follow`."""
        if self._index is None:
            self.follow()
        assert self._index is not None
        return self._index

    def nearest(self, query: Floats, count: int) -> list[Near]:
        """The people most like (D,) `query`, by the store's newest state.

        A shared store that can't be reached is tried again every few seconds; meanwhile the people in memory
        answer, and `lost` says why.
        """
        if self._index is None or (time.monotonic() >= self._next_try):
            try:
                self.follow()
                self.lost = None
            except StorageError as error:
                if self._index is None:
                    raise
                self.lost, self._next_try = error, time.monotonic() + _TRY_AGAIN_S
        return self.index.nearest(query, count)

    def follow(self) -> None:
        """Read what was done since the last time."""
        if self._index is not None and not self._behind and not self._store.changed(self._revision):
            return
        self._behind = True  # stays so where reading fails: the store says only once that something was done
        with self._store.reading():
            head = self._store.head()
            if self._index is None:
                self._load(head)
            elif head.revision != self._revision:
                self._catch_up(head)
        self._behind = False

    def _load(self, head: Head) -> None:
        count = int(self._store.run("SELECT COUNT(*) FROM templates").fetchone()[0])
        self._index = Index(head.dimensions, self._kind or kind_for(count), self._fetch)
        try:
            self._last = 0
            self._add_new(head)
        except BaseException:
            self._index = None
            raise
        self._revision = head.revision

    def _catch_up(self, head: Head) -> None:
        rows = list(self._store.audit(self._revision))
        done = {row.action for row in rows}
        if "rekey" in done or head.model != self._head.model:
            raise GalleryKeyError(
                f"{self._store.place} got another key or another model while it was open.",
                hint="Open it again, with the new one.",
            )
        assert self._index is not None
        people = [row.person for row in rows if row.action in ("forget", "expire") and row.person]
        removed = [row.count for row in rows if row.action == "remove" and row.count]
        if people or removed:
            self._index.remove(people=people, templates=removed)
            for person in people:
                self._names.pop(person, None)
        self._add_new(head)
        self._revision = head.revision
        if self._kind is None and KINDS.index(kind_for(len(self._index))) > KINDS.index(self._index.kind):
            self._load(head)  # it has outgrown its kind

    def _add_new(self, head: Head) -> None:
        assert self._index is not None
        opened = embeddings_of(self._store.templates(after=self._last), self._cipher, head)
        while batch := list(islice(opened, _BATCH)):
            rows, vectors = zip(*batch, strict=True)
            self._index.add([row.template for row in rows], [row.person for row in rows], np.stack(vectors))
            self._last = rows[-1].template

    def _fetch(self, templates: Sequence[int]) -> Floats:
        found: dict[int, Floats] = {}
        for start in range(0, len(templates), _BATCH):
            some = templates[start : start + _BATCH]
            rows = self._store.templates(only=some)
            found.update(
                (row.template, vector) for row, vector in embeddings_of(rows, self._cipher, self._head)
            )
        # Taken out between the scan and now: like nobody.
        nothing = np.zeros(self._head.dimensions, np.float32)
        return np.stack([found.get(template, nothing) for template in templates])

    def name(self, person: int) -> str | None:
        """A person's name; None where they were forgotten just now."""
        if person not in self._names:
            for row in self._store.people(person=person):
                key = self._cipher.unwrap(row.person, bytes(row.wrapped))
                self._names[person] = key.open(bytes(row.name), "name").decode()
        return self._names.get(person)


def kind_for(count: int) -> str:
    """The index for so many templates on this machine."""
    if count >= FAISS_FROM:
        from edgeproof.gallery.faiss_columns import has_faiss

        if has_faiss():
            return "faiss"
    return "int8" if count >= BYTES_FROM else "float32"
