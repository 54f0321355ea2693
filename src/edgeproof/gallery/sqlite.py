"""A gallery in one SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeproof.core.errors import (
    DiskFullError,
    EdgeproofError,
    GalleryError,
    NotFoundError,
    StorageError,
)
from edgeproof.core.files import check_writable, storage_error
from edgeproof.gallery.store import Store

_BUSY_MS = 20_000
# "egal" and its likes are free in the list of SQLite's application numbers; `file` then knows what it is.
_APPLICATION = 0x65644761


class SqliteStore(Store):
    """Rows in an SQLite file, which is made where it is absent and `create` says so.

    WAL, so that searching goes on while others enrol; synchronous=FULL, so that what was acknowledged survives
    a power cut; secure_delete, so that deleted rows are overwritten.
    """

    number, real, blob, key, parameter = "INTEGER", "REAL", "BLOB", "PRIMARY KEY", "?"
    begin_reading, begin_writing = "BEGIN", "BEGIN IMMEDIATE"
    append_only = tuple(
        f"CREATE TRIGGER audit_{verb} BEFORE {verb} ON audit BEGIN"
        f" SELECT RAISE(ABORT, 'the audit log is never changed'); END"
        for verb in ("UPDATE", "DELETE")
    )

    def __init__(self, path: str | os.PathLike[str], *, create: bool) -> None:
        super().__init__()
        self.path = Path(path)
        if not create and not self.path.exists():
            raise NotFoundError(
                f"There is no gallery at {self.path}.",
                hint="Enrol someone first, with `edgeproof faces enroll NAME IMG`, or give --gallery.",
            )
        if create and not self.path.exists():
            self._make_private()
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._typed(error) from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _make_private(self) -> None:
        check_writable(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its WAL the same mode as the database.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise storage_error(self.path, error) from error

    def _prepare(self) -> None:
        for pragma in (
            "trusted_schema=OFF",
            "foreign_keys=ON",
            "secure_delete=ON",
            "synchronous=FULL",
            "journal_size_limit=0",
            "temp_store=MEMORY",
        ):
            self.run(f"PRAGMA {pragma}")
        if not self.has_tables():
            # Three templates of 512 dimensions in a page, where SQLite's 4096 take one.
            self.run("PRAGMA page_size=8192")
            self.run(f"PRAGMA application_id={_APPLICATION}")
        self.run("PRAGMA journal_mode=WAL")

    @property
    def place(self) -> str:
        return str(self.path)

    def run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self._typed(error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
        try:
            yield from super().rows(sql, values)
        except sqlite3.Error as error:  # damage may show only while fetching
            raise self._typed(error) from error

    def has_tables(self) -> bool:
        names = {row[0] for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if names and "gallery" not in names:
            raise GalleryError(
                f"{self.path} is a database of something else.", hint="Choose another place for the gallery."
            )
        return "gallery" in names

    def changed(self, revision: int) -> bool:
        return bool(self.run("SELECT revision FROM gallery").fetchone()[0] != revision)

    def roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def scrub(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing: it has pages from before."""
        with self._turn:
            busy, _, _ = self.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _typed(self, error: sqlite3.Error) -> EdgeproofError:
        text = str(error)
        # Python 3.10's sqlite3 has no codes on its errors; the words have been SQLite's own for decades.
        if "disk is full" in text or ("disk I/O error" in text and _no_space(self.path)):
            return DiskFullError(
                f"Can't write {self.path}: the disk is full.",
                hint="Free some space. What was enrolled before is safe; this was not enrolled.",
            )
        if "not a database" in text or "malformed" in text:
            return GalleryError(
                f"{self.path} is no gallery, or a damaged one ({text}).",
                hint="Restore a backup, or choose another place with --gallery.",
            )
        if "locked" in text:
            return StorageError(
                f"{self.path} is in use: another program has been writing to it for {_BUSY_MS // 1000} s.",
                hint="Try again when it is done.",
            )
        if "readonly" in text or "unable to open" in text:
            return StorageError(
                f"Can't use {self.path}: {text}.",
                hint="Check who owns it and its folder (ls -l): both must be writable, and it must be a file.",
            )
        return StorageError(f"Can't use {self.path}: {text}.", hint="Check the path and the disk.")


def _no_space(path: Path) -> bool:
    with contextlib.suppress(OSError):
        left = os.statvfs(path.parent)
        return left.f_bavail * left.f_frsize < 1 << 20
    return False
