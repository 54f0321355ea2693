"""The rows of a gallery, whatever database they lie in. Everything here is sealed already."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from typing import Any

from edgeproof.core.errors import GalleryError, NewerGalleryError
from edgeproof.gallery.schema import SCHEMA, TABLES, AuditRow, Head, PersonRow, TemplateRow

_BATCH = 1024
_HEAD = ", ".join(field.name for field in fields(Head))


class Store(ABC):
    """Reads and writes rows. A database adds how to connect, to begin, to hear of changes, and its own errors.

    May be used from several threads; they take turns.
    """

    # The dialect: names of types, what marks a parameter, how a transaction begins.
    number = real = blob = key = ""
    parameter = "?"
    begin_reading = begin_writing = ""
    append_only: Sequence[str] = ()

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._depth = 0

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; never a password."""

    @abstractmethod
    def run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement; a DB-API cursor. Errors come typed."""

    @abstractmethod
    def has_tables(self) -> bool:
        """Whether a gallery lies here."""

    @abstractmethod
    def changed(self, revision: int) -> bool:
        """Whether something may have been done since `revision`; cheap enough to ask before every search."""

    @abstractmethod
    def scrub(self) -> bool:
        """Take what was deleted out of the database's files; False where others hinder it for now."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""

    def announce(self, revision: int) -> None:  # noqa: B027 - SQLite has nothing to announce
        """Tell others within the running transaction that there will be a new revision."""

    def alone(self) -> None:  # noqa: B027 - SQLite's write lock is enough
        """Let nobody else create a gallery here until the running transaction ends."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
        """The rows of a query, fetched in batches."""
        cursor = self.run(sql, values)
        while batch := cursor.fetchmany(_BATCH):
            yield from batch

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within the block belongs together."""
        with self._transaction(self.begin_reading):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._turn:
            if self._depth:  # within another one: that one ends it
                yield
                return
            self.run(begin)
            self._depth = 1
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                self.roll_back()
                raise
            finally:
                self._depth = 0

    @abstractmethod
    def roll_back(self) -> None:
        """End the transaction without a trace; never raises."""

    @contextmanager
    def changing(self, action: str, person: int | None = None) -> Iterator[Change]:
        """All changes of the block or none, and a row of the audit log with them."""
        with self._transaction(self.begin_writing):
            # This comes first: it makes PostgreSQL's writers take turns.
            self.run("UPDATE gallery SET revision = revision + 1")
            change = Change(self, self.head(), person)
            yield change
            row = (change.head.revision, int(time.time()), action, change.person, who(), change.count)
            self.run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", row)
            if change.number != change.head.next_number:
                self.run("UPDATE gallery SET next_number = ?", (change.number,))
            self.announce(change.head.revision)

    def create(self, head: Head) -> None:
        """Make the tables and the one row, if nobody else has just done so."""
        with self._transaction(self.begin_writing):
            self.alone()
            if self.has_tables():
                return
            for table in TABLES:
                self.run(table.format(number=self.number, real=self.real, blob=self.blob, key=self.key))
            for statement in self.append_only:
                self.run(statement)
            marks = ", ".join("?" * (1 + len(fields(Head))))
            self.run(f"INSERT INTO gallery (one, {_HEAD}) VALUES ({marks})", (1, *astuple(head)))  # noqa: S608

    def head(self) -> Head:
        """The one row of `gallery`.

        Raises:
            NewerGalleryError: of a newer edgeproof.
            GalleryError: it isn't there.
        """
        number = self.run("SELECT schema_number FROM gallery").fetchone()
        if number is None:
            raise GalleryError(
                f"{self.place} has the tables of a gallery, and nothing in them.",
                hint="Restore a backup, or choose another place.",
            )
        if number[0] > SCHEMA:
            raise NewerGalleryError(
                f"{self.place} was made by a newer edgeproof (schema {number[0]}, this one knows {SCHEMA}).",
                hint="Update edgeproof on this machine.",
            )
        return Head(*self.run(f"SELECT {_HEAD} FROM gallery").fetchone())  # noqa: S608

    def people(
        self, lookup: bytes | None = None, person: int | None = None, after: int = 0
    ) -> Iterator[PersonRow]:
        """All people by number, those after one, or the one who is asked for."""
        sql = (
            "SELECT p.person, p.lookup, p.name, p.created, p.expires, k.wrapped"
            " FROM people p JOIN keys k ON k.person = p.person"
        )
        if lookup is not None:
            found = self.rows(sql + " WHERE p.lookup = ?", (lookup,))
        elif person is not None:
            found = self.rows(sql + " WHERE p.person = ?", (person,))
        else:
            found = self.rows(sql + " WHERE p.person > ? ORDER BY p.person", (after,))
        return (PersonRow(*row) for row in found)

    def templates(
        self, *, after: int = 0, person: int | None = None, only: Sequence[int] | None = None
    ) -> Iterator[TemplateRow]:
        """Templates by number: all after one, those of a person, or some."""
        sql = (
            "SELECT t.template, t.person, t.sealed, k.wrapped, t.created"
            " FROM templates t JOIN keys k ON k.person = t.person WHERE "
        )
        if only is not None:
            marks = ", ".join("?" * len(only))
            found = self.rows(f"{sql} t.template IN ({marks})", only)
        elif person is not None:
            found = self.rows(sql + "t.person = ? ORDER BY t.template", (person,))
        else:
            found = self.rows(sql + "t.template > ? ORDER BY t.template", (after,))
        return (TemplateRow(*row) for row in found)

    def counts(self) -> dict[int, tuple[int, int]]:
        """Person -> how many templates and kept crops."""
        sql = (
            "SELECT t.person, COUNT(*), COUNT(c.template)"
            " FROM templates t LEFT JOIN crops c ON c.template = t.template GROUP BY t.person"
        )
        return {person: (templates, crops) for person, templates, crops in self.rows(sql)}

    def counts_of(self, person: int) -> tuple[int, int]:
        """How many templates and kept crops one person has."""
        sql = (
            "SELECT COUNT(*), COUNT(c.template)"
            " FROM templates t LEFT JOIN crops c ON c.template = t.template WHERE t.person = ?"
        )
        templates, crops = self.run(sql, (person,)).fetchone()
        return templates, crops

    def count_people(self) -> int:
        """How many people there are."""
        return int(self.run("SELECT COUNT(*) FROM people").fetchone()[0])

    def crop(self, template: int) -> bytes | None:
        """The sealed crop of a template."""
        row = self.run("SELECT sealed FROM crops WHERE template = ?", (template,)).fetchone()
        return None if row is None else bytes(row[0])

    def expired(self, now: int) -> list[int]:
        """Who should have been forgotten by now."""
        return [
            row[0]
            for row in self.rows("SELECT person FROM people WHERE expires <= ? ORDER BY person", (now,))
        ]

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """What was done after a revision."""
        sql = (
            "SELECT revision, at, action, person, who, count FROM audit WHERE revision > ? ORDER BY revision"
        )
        return (AuditRow(*row) for row in self.rows(sql, (after,)))


class Change:
    """A transaction that writes.

    Attributes:
        head: as it is within.
        person: whom the audit row names.
        count: the number that the audit row has.
        number: what the next person or template is called.
    """

    def __init__(self, store: Store, head: Head, person: int | None) -> None:
        self._store, self.head, self.person = store, head, person
        self.count: int | None = None
        self.number = head.next_number

    def next_number(self) -> int:
        """A number that no person and no template ever had."""
        self.number += 1
        return self.number - 1

    def add_person(self, row: PersonRow) -> None:
        """A new person and their key."""
        self._store.run(
            "INSERT INTO people (person, lookup, name, created, expires) VALUES (?, ?, ?, ?, ?)",
            (row.person, row.lookup, row.name, row.created, row.expires),
        )
        self._store.run("INSERT INTO keys (person, wrapped) VALUES (?, ?)", (row.person, row.wrapped))

    def keep_until(self, person: int, expires: int | None) -> None:
        """When a person is to be forgotten."""
        self._store.run("UPDATE people SET expires = ? WHERE person = ?", (expires, person))

    def add_template(self, template: int, person: int, sealed: bytes, crop: bytes | None) -> None:
        """A new template, and its crop where it is kept."""
        self._store.run(
            "INSERT INTO templates (template, person, sealed, created) VALUES (?, ?, ?, ?)",
            (template, person, sealed, int(time.time())),
        )
        if crop is not None:
            self._store.run("INSERT INTO crops (template, sealed) VALUES (?, ?)", (template, crop))

    def replace_template(self, template: int, sealed: bytes) -> None:
        """Another embedding in an old row."""
        self._store.run("UPDATE templates SET sealed = ? WHERE template = ?", (sealed, template))

    def remove_template(self, template: int) -> None:
        """Delete a template and its crop."""
        self._store.run("DELETE FROM templates WHERE template = ?", (template,))

    def replace_key(self, person: int, wrapped: bytes, lookup: bytes | None = None) -> None:
        """Overwrite a person's wrapped key and, with it, the hash of the name."""
        self._store.run("UPDATE keys SET wrapped = ? WHERE person = ?", (wrapped, person))
        if lookup is not None:
            self._store.run("UPDATE people SET lookup = ? WHERE person = ?", (lookup, person))

    def remove_person(self, person: int, destroyed: bytes) -> None:
        """Overwrite the key, then delete all rows of a person."""
        self.replace_key(person, destroyed)
        self._store.run("DELETE FROM people WHERE person = ?", (person,))

    def settle(self, **values: Any) -> None:
        """Change columns of the one row of `gallery`."""
        known = {field.name for field in fields(Head)}
        assert values.keys() <= known
        columns = ", ".join(f"{name} = ?" for name in values)
        self._store.run(f"UPDATE gallery SET {columns}", tuple(values.values()))  # noqa: S608


def who() -> str:
    """Who does it, for the audit log: the user and the machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
