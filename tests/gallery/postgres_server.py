"""A PostgreSQL server of one's own, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, as Debian or the PATH has them."""
    found = [Path(path).resolve().parent for path in (shutil.which("pg_ctl"), shutil.which("initdb")) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None
    )


def _as_somebody() -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {}


class Server:
    """Runs from `start` to `stop`."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._bin, self._who = folder, bin_folder, _as_somebody()
        self._data = folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._who,
        )

    def create(self) -> None:
        if self._who:
            os.chown(self._folder, self._who["user"], self._who["group"])
        arguments = ("-A", "trust", "-U", "tester", "--no-sync", "--no-locale", "-E", "UTF8")
        self._run("initdb", "-D", str(self._data), *arguments)

    def start(self) -> None:
        settings = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "-o", settings, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """The address of an empty database."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            row = connection.execute("SELECT COUNT(*) FROM pg_database").fetchone()
            name = f"gallery{row[0] if row else 0}"
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def running(bin_folder: Path) -> Iterator[Server]:
    # Not below pytest's own folder, which is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="edgeproof-pg-") as folder:
        server = Server(Path(folder), bin_folder)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
