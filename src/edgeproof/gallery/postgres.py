"""A gallery that several devices share, on a PostgreSQL server. The server sees sealed rows only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgeproof.core.errors import DiskFullError, EdgeproofError, GalleryError, StorageError
from edgeproof.core.extras import require
from edgeproof.gallery.store import Store

if TYPE_CHECKING:
    import psycopg

_CHANNEL = "edgeproof_gallery"
_CONNECT_S = 10
# A cable pulled out says nothing: ask after 15 s of silence, and give up after another 15.
_LIVELINESS = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Any number will do that everybody who creates a gallery takes.
_CREATING = 0x65644761


class PostgresStore(Store):
    """Rows in the schema `edgeproof` of a database; others hear of changes by LISTEN and NOTIFY.

    Arguments:
        url: postgresql://user@host/database, as libpq reads it; the password best in ~/.pgpass or PGPASSWORD.

    A lost connection is made again on the next use that isn't within a transaction.
    """

    number, real, blob, key, parameter = "BIGINT", "DOUBLE PRECISION", "BYTEA", "PRIMARY KEY", "%s"
    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    # Whoever comes second waits at the first UPDATE, and must then see what the first one wrote.
    begin_writing = "BEGIN ISOLATION LEVEL READ COMMITTED"
    append_only = (
        "CREATE FUNCTION audit_is_never_changed() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is never changed'; END $$",
        "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_is_never_changed()",
    )

    def __init__(self, url: str) -> None:
        super().__init__()
        self._library: Any = require("psycopg", extra="postgres", purpose="A gallery on PostgreSQL")
        self._url, self._heard = url, True
        try:
            known = self._library.conninfo.conninfo_to_dict(url)
        except self._library.Error as error:
            raise self._typed(error) from error
        self._place = f"{known.get('host', 'the local socket')}/{known.get('dbname', '')}"
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection: psycopg.Connection[Any] = self._library.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_S, **_LIVELINESS
            )
            connection.execute("SET search_path = edgeproof")
            connection.execute("SET client_min_messages = error")
            connection.execute("SET lock_timeout = '20s'")
            connection.execute(f"LISTEN {_CHANNEL}")
        except self._library.Error as error:
            raise self._typed(error) from error
        self._heard = True  # whatever was announced while nobody listened
        return connection

    @property
    def place(self) -> str:
        return self._place

    def run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        try:
            return self._cursor().execute(sql.replace("?", self.parameter), values)
        except self._library.OperationalError as error:
            if self._depth or not self._connection.closed:
                raise self._typed(error) from error
        except self._library.Error as error:
            raise self._typed(error) from error
        self._connection = self._connect()
        return self._connection.cursor(binary=True).execute(sql.replace("?", self.parameter), values)

    def _cursor(self) -> Any:
        if self._connection.closed and not self._depth:
            self._connection = self._connect()
        return self._connection.cursor(binary=True)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Sequence[Any]]:
        if not self._depth:
            yield from super().rows(sql, values)
            return
        # Within a transaction a cursor can stay on the server: 100,000 templates needn't be here at once.
        name = f"edgeproof_{id(values)}_{id(sql)}"
        with self._connection.cursor(name=name, binary=True) as cursor:
            try:
                cursor.execute(sql.replace("?", self.parameter), values)
                while batch := cursor.fetchmany(1024):
                    yield from batch
            except self._library.Error as error:
                raise self._typed(error) from error

    def alone(self) -> None:
        self.run("SELECT pg_advisory_xact_lock(?)", (_CREATING,))
        self.run("CREATE SCHEMA IF NOT EXISTS edgeproof")

    def has_tables(self) -> bool:
        return bool(self.run("SELECT to_regclass('edgeproof.gallery') IS NOT NULL").fetchone()[0])

    def changed(self, revision: int) -> bool:  # noqa: ARG002 - the announcement says it, not the number
        with self._turn:
            try:
                if self._connection.closed:
                    self._connection = self._connect()
                self._heard |= any(True for _ in list(self._connection.notifies(timeout=0)))
            except self._library.Error as error:
                raise self._typed(error) from error
            heard, self._heard = self._heard, False
            return heard

    def announce(self, revision: int) -> None:
        self.run("SELECT pg_notify(?, ?)", (_CHANNEL, str(revision)))

    def roll_back(self) -> None:
        with contextlib.suppress(self._library.Error):
            self._connection.execute("ROLLBACK")

    def scrub(self) -> bool:
        """Write the tables of keys and people anew: PostgreSQL keeps old versions of rows until then."""
        with self._turn:
            try:
                for statement in ("VACUUM (FULL) keys", "VACUUM (FULL) people", "VACUUM templates, crops"):
                    self._connection.execute(statement)
            except self._library.Error:
                return False
        return True

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _typed(self, error: Exception) -> EdgeproofError:
        kinds = self._library.errors
        text = str(error).strip().partition("\n")[0]
        if isinstance(error, kinds.DiskFull):
            return DiskFullError(
                f"Can't write to {self._place_or_url()}: its disk is full.",
                hint="Free some space on the server. What was enrolled before is safe; this was not enrolled.",
            )
        if isinstance(error, (kinds.UndefinedTable, kinds.UndefinedColumn, kinds.DataError)):
            return GalleryError(
                f"{self._place_or_url()} holds no gallery, or a damaged one ({text}).",
                hint="Restore a backup, or choose another database.",
            )
        if isinstance(error, kinds.InsufficientPrivilege):
            return StorageError(
                f"{self._place_or_url()} doesn't allow it: {text}.",
                hint="The user must own the schema edgeproof, or may create it: GRANT CREATE ON DATABASE.",
            )
        return StorageError(
            f"Can't use the gallery on {self._place_or_url()}: {text}.",
            hint="Check the address, the user, the network, and that the server runs.",
        )

    def _place_or_url(self) -> str:
        return getattr(self, "_place", "PostgreSQL")
