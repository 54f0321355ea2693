"""The tables, in words that SQLite and PostgreSQL both understand, and the values that one row of each makes."""

from __future__ import annotations

from dataclasses import dataclass

# Written into every gallery and bound into every seal: raise it when what is stored changes its meaning.
SCHEMA = 1

# {number}, {real} and {blob} are the dialect's names of its types; {key} makes a column the row's number.
TABLES = (
    """CREATE TABLE gallery (
        one {number} {key} CHECK (one = 1),
        schema_number {number} NOT NULL,
        identity {blob} NOT NULL,
        key_check {blob} NOT NULL,
        key_from TEXT,
        model TEXT NOT NULL,
        dimensions {number} NOT NULL,
        retain_s {number},
        threshold {real},
        margin {real},
        revision {number} NOT NULL,
        next_number {number} NOT NULL,
        created {number} NOT NULL
    )""",
    """CREATE TABLE people (
        person {number} {key},
        lookup {blob} NOT NULL UNIQUE,
        name {blob} NOT NULL,
        created {number} NOT NULL,
        expires {number}
    )""",
    # Rows stay for good, and zeros of the same length replace a destroyed key: SQLite overwrites such a row in
    # place, and rows in rising order are never moved, so no second copy of the key is left in a free corner.
    """CREATE TABLE keys (
        person {number} {key},
        wrapped {blob} NOT NULL
    )""",
    """CREATE TABLE templates (
        template {number} {key},
        person {number} NOT NULL REFERENCES people (person) ON DELETE CASCADE,
        sealed {blob} NOT NULL,
        created {number} NOT NULL
    )""",
    "CREATE INDEX templates_of_person ON templates (person)",
    """CREATE TABLE crops (
        template {number} {key} REFERENCES templates (template) ON DELETE CASCADE,
        sealed {blob} NOT NULL
    )""",
    """CREATE TABLE audit (
        revision {number} {key},
        at {number} NOT NULL,
        action TEXT NOT NULL,
        person {number},
        who TEXT NOT NULL,
        count {number}
    )""",
)


@dataclass(frozen=True)
class Head:
    """The one row of `gallery`.

    Attributes:
        schema_number: `SCHEMA` of the edgeproof that made it.
        identity: 16 random bytes.
        key_check: what the right master key gives.
        key_from: how a passphrase becomes the master key; None where the key is kept as it is.
        model: SHA-256 of the recogniser's file, hexadecimal.
        dimensions: numbers in an embedding.
        retain_s: seconds that people are kept, where nothing else was said; None for ever.
        threshold, margin: what `search` uses; None for the model's own.
        revision: grows with every change.
        next_number: what the next person or template is called.
        created: seconds since 1970.
    """

    schema_number: int
    identity: bytes
    key_check: bytes
    key_from: str | None
    model: str
    dimensions: int
    retain_s: int | None = None
    threshold: float | None = None
    margin: float | None = None
    revision: int = 0
    next_number: int = 1
    created: int = 0


@dataclass(frozen=True)
class PersonRow:
    """A row of `people`, with the person's wrapped key."""

    person: int
    lookup: bytes
    name: bytes
    created: int
    expires: int | None
    wrapped: bytes


@dataclass(frozen=True)
class TemplateRow:
    """A row of `templates`, with its person's wrapped key."""

    template: int
    person: int
    sealed: bytes
    wrapped: bytes
    created: int


@dataclass(frozen=True)
class AuditRow:
    """Something that was done: enroll, forget, expire, remove, export, search, migrate, rekey, settings."""

    revision: int
    at: int
    action: str
    person: int | None
    who: str
    count: int | None
