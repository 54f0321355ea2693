"""Enrolled people: put them in, find them, forget them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np

from edgeproof.core.errors import GalleryError, UnknownNameError
from edgeproof.gallery.cipher import DESTROYED, Cipher, PersonKey, clean_name
from edgeproof.gallery.columns import Floats
from edgeproof.gallery.index import unit
from edgeproof.gallery.matching import MARGIN, THRESHOLD, Candidate, Match, check_bounds, decide
from edgeproof.gallery.members import Members, embeddings_of
from edgeproof.gallery.schema import AuditRow, Head, PersonRow
from edgeproof.gallery.store import Change, Store


@dataclass(frozen=True, eq=False)
class Entry:
    """What is enrolled of one picture.

    Attributes:
        name: whose face it is.
        embedding: (D,) of any length; kept with length 1.
        crop: an encoded picture of the aligned face, where the user chose to keep it.
        retain_s: seconds to keep the person; None for the gallery's own, which may be for ever.
    """

    name: str
    embedding: Any = field(repr=False)
    crop: bytes | None = field(default=None, repr=False)
    retain_s: int | None = None


@dataclass(frozen=True)
class Enrolled:
    """What an enrolment made: the person's number, the template's, and whether the person is new."""

    person: int
    template: int
    new: bool


@dataclass(frozen=True)
class Person:
    """Somebody in the gallery. Times are seconds since 1970; `expires` None: never."""

    person: int
    name: str
    templates: int
    crops: int
    created: int
    expires: int | None


@dataclass(frozen=True, eq=False)
class Template:
    """An embedding float32 (D,) in clear, with its crop where one was kept."""

    template: int
    person: int
    created: int
    embedding: Floats = field(repr=False)
    crop: bytes | None = field(default=None, repr=False)


class Gallery:
    """An open gallery; `open_gallery` makes it. May be used from several threads.

    Arguments:
        store: the rows.
        cipher: made with the right master key.
        head: the store's.
        index: float32, int8 or faiss; None to choose by how many there are.
    """

    def __init__(self, store: Store, cipher: Cipher, head: Head, *, index: str | None = None) -> None:
        self._store, self._cipher, self._head = store, cipher, head
        self._members = Members(store, cipher, head, kind=index)
        self._turn = threading.RLock()
        self._expires_next: float = 0

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._store.place

    @property
    def head(self) -> Head:
        """Its model, dimensions and settings, as of now."""
        return self._store.head()

    @property
    def store(self) -> Store:
        """The rows, for upkeep."""
        return self._store

    @property
    def cipher(self) -> Cipher:
        """What opens them, for upkeep."""
        return self._cipher

    @property
    def lost(self) -> GalleryError | Exception | None:
        """Why the shared store can't be reached, while people in memory still answer; None when all is well."""
        return self._members.lost

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the index takes."""
        with self._turn:
            return self._members.index.nbytes

    def __len__(self) -> int:
        """Templates in it."""
        with self._turn:
            self._members.follow()
            return len(self._members.index)

    def enroll(self, entry: Entry) -> Enrolled:
        """Put a face in. When this returns, it is on the disk."""
        return self.enroll_many([entry])[0]

    def enroll_many(self, entries: Sequence[Entry]) -> list[Enrolled]:
        """Put all these faces in, or none.

        Raises:
            InputError: an embedding of another shape, all zeros, or not finite.
            UsageError: a name that can't be one.
            GalleryError: the gallery was moved to another model meanwhile.
            DiskFullError, StorageError: they couldn't be written.
        """
        vectors = [unit(entry.embedding, self._head.dimensions) for entry in entries]
        done: list[Enrolled] = []
        with self._store.changing("enroll") as change:
            self._check_same(change.head)
            keys: dict[bytes, tuple[int, PersonKey]] = {}
            for entry, vector in zip(entries, vectors, strict=True):
                done.append(self._enroll(change, entry, vector, keys))
            change.count = len(done)
            people = {one.person for one in done}
            change.person = people.pop() if len(people) == 1 else None
        return done

    def _enroll(
        self, change: Change, entry: Entry, vector: Floats, keys: dict[bytes, tuple[int, PersonKey]]
    ) -> Enrolled:
        lookup, new = self._cipher.lookup(entry.name), False
        if lookup not in keys:
            for row in self._store.people(lookup=lookup):
                keys[lookup] = row.person, self._cipher.unwrap(row.person, bytes(row.wrapped))
        if lookup not in keys:
            keys[lookup], new = self._add_person(change, entry, lookup), True
        elif entry.retain_s is not None:
            change.keep_until(keys[lookup][0], int(time.time()) + entry.retain_s)
        person, key = keys[lookup]
        template = change.next_number()
        sealed = key.seal(vector.astype("<f4").tobytes(), "template", template, self._head.model)
        crop = None if entry.crop is None else key.seal(entry.crop, "crop", template)
        change.add_template(template, person, sealed, crop)
        if new or entry.retain_s is not None:
            self._expires_next = 0
        return Enrolled(person, template, new)

    def _add_person(self, change: Change, entry: Entry, lookup: bytes) -> tuple[int, PersonKey]:
        person, now = change.next_number(), int(time.time())
        key, wrapped = self._cipher.new_key(person)
        retain = change.head.retain_s if entry.retain_s is None else entry.retain_s
        name = key.seal(clean_name(entry.name).encode(), "name")
        expires = None if retain is None else now + retain
        change.add_person(PersonRow(person, lookup, name, now, expires, wrapped))
        return person, key

    def _check_same(self, head: Head) -> None:
        if head.model != self._head.model or head.key_check != self._cipher.check:
            raise GalleryError(
                f"{self.place} got another key or another model while it was open.",
                hint="Open it again, with the new one.",
            )

    def search(self, embedding: Any, *, top: int = 5) -> tuple[Candidate, ...]:
        """The `top` people most like an embedding (D,), best first.

        Raises:
            InputError: of another shape, or not finite.
            TamperedTemplateError: a template is not what was sealed.
        """
        query = unit(embedding, self._head.dimensions)
        with self._turn:
            self._expire_if_due()
            near = self._members.nearest(query, top) if top > 0 else []
            named = [(one, self._members.name(one.person)) for one in near]
        return tuple(Candidate(name, one.similarity, one.person) for one, name in named if name is not None)

    def identify(
        self, embedding: Any, *, threshold: float | None = None, margin: float | None = None, top: int = 5
    ) -> Match:
        """Who a face (D,) is: the best candidate, or "unknown".

        Arguments:
            threshold, margin: see `Match`; None for the gallery's own, else 0.4 and 0.05.
        """
        if threshold is None:
            threshold = THRESHOLD if self._head.threshold is None else self._head.threshold
        if margin is None:
            margin = MARGIN if self._head.margin is None else self._head.margin
        check_bounds(threshold, margin)
        found = decide(self.search(embedding, top=max(top, 2)), threshold, margin)
        return Match(found.name, found.similarity, found.margin, found.candidates[:top], found.reason)

    def record(self, action: str, count: int) -> None:
        """Write into the audit log that something was asked, and how much came of it."""
        with self._store.changing(action) as change:
            change.count = count

    def people(self) -> list[Person]:
        """Everybody, by name."""
        with self._turn, self._store.reading():
            counts = self._store.counts()
            found = [self._person(row, counts.get(row.person, (0, 0))) for row in self._store.people()]
        return sorted(found, key=lambda person: person.name.casefold())

    def some_people(self, *, after: int = 0, limit: int) -> list[Person]:
        """At most `limit` people whose numbers come after `after`, by number: of many, a page at a time."""
        with self._turn, self._store.reading():
            rows = list(islice(self._store.people(after=after), limit))
            return [self._person(row, self._store.counts_of(row.person)) for row in rows]

    def count_people(self) -> int:
        """How many people are in it."""
        with self._turn:
            return self._store.count_people()

    def _person(self, row: PersonRow, counts: tuple[int, int]) -> Person:
        key = self._cipher.unwrap(row.person, bytes(row.wrapped))
        name = key.open(bytes(row.name), "name").decode()
        return Person(row.person, name, *counts, row.created, row.expires)

    def find(self, name: str) -> Person:
        """One person.

        Raises:
            UnknownNameError: nobody of that name is here.
        """
        with self._turn, self._store.reading():
            for row in self._store.people(lookup=self._cipher.lookup(name)):
                return self._person(row, self._store.counts_of(row.person))
        raise UnknownNameError(
            f"There is nobody called {name!r} in {self.place}.",
            hint="`edgeproof faces people` lists who is.",
        )

    def templates(self, person: int | None = None) -> Iterator[Template]:
        """Templates in clear: of one person with their crops, or of all without."""
        with self._turn, self._store.reading():
            rows: Iterable[Any] = self._store.templates(person=person)
            for row, vector in embeddings_of(rows, self._cipher, self._head):
                crop = None
                if person is not None and (sealed := self._store.crop(row.template)) is not None:
                    key = self._cipher.unwrap(row.person, bytes(row.wrapped))
                    crop = key.open(sealed, "crop", row.template)
                yield Template(row.template, row.person, row.created, vector, crop)

    def audit(self, person: int | None = None) -> list[AuditRow]:
        """The audit log, oldest first; that of one person where a number is given."""
        with self._turn:
            return [row for row in self._store.audit() if person is None or row.person == person]

    def forget(self, name: str) -> bool:
        """Delete a person: the key is overwritten, and all rows are.

        Returns whether the files were cleaned at once; False where another process hinders it, which does it
        itself when it closes.

        Raises:
            UnknownNameError: nobody of that name is here.
        """
        return self.forget_person(self.find(name).person)

    def forget_person(self, person: int, action: str = "forget") -> bool:
        """As `forget`, by number; it needs no row to be intact."""
        with self._turn:
            with self._store.changing(action, person) as change:
                change.count = len([1 for _ in self._store.templates(person=person)])
                change.remove_person(person, DESTROYED)
            return self._store.scrub()

    def remove_template(self, template: int) -> bool:
        """Delete one template, such as one that was tampered with; its person stays.

        Raises:
            UnknownNameError: there is none of that number.
        """
        with self._turn:
            rows = list(self._store.templates(only=[template]))
            if not rows:
                raise UnknownNameError(
                    f"There is no template {template} in {self.place}.", hint="Check the number."
                )
            with self._store.changing("remove", rows[0].person) as change:
                change.remove_template(template)
                change.count = template
            return self._store.scrub()

    def expire(self) -> int:
        """Forget everybody whose time is over; how many those were."""
        with self._turn:
            due = self._store.expired(int(time.time()))
            for person in due:
                self.forget_person(person, "expire")
            return len(due)

    def _expire_if_due(self) -> None:
        # Asked once a minute at most: retention is counted in days.
        if time.time() >= self._expires_next and self._members.lost is None:
            self.expire()
            self._expires_next = time.time() + 60

    def settle(self, **values: Any) -> None:
        """Change the gallery's own settings: retain_s, threshold, margin."""
        check_bounds(values.get("threshold"), values.get("margin"))
        with self._turn:
            with self._store.changing("settings") as change:
                change.settle(**values)
            self._head = self._store.head()

    def close(self) -> None:
        """Let go of the store and of what is in memory."""
        with self._turn:
            self._store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def matrix_of(templates: Iterable[Template]) -> tuple[Floats, Any]:
    """Embeddings float32 (N, D) and the person of each, int64 (N,)."""
    vectors, people = [], []
    for template in templates:
        vectors.append(template.embedding)
        people.append(template.person)
    return np.array(vectors, np.float32), np.array(people, np.int64)
