"""Galleries on both databases."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from gallery.people import DIMENSIONS, MODEL
from gallery.postgres_server import Server, programs, running

pytest.importorskip("cryptography", reason="needs the extra `gallery`")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_KEY", "_KEY_FILE", "_PASSPHRASE"):
        monkeypatch.delenv(f"EDGEPROOF_GALLERY{name}", raising=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server that runs as long as the tests do."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs the extra `postgres`")
    folder = programs()
    if folder is None:
        pytest.skip("needs a PostgreSQL server: Debian's package postgresql")
    with running(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new gallery may be, once in a file and once on a server."""
    if request.param == "sqlite":
        return str(tmp_path / "data" / "gallery.db")
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def key(tmp_path: Path) -> KeySource:
    return KeySource(tmp_path / "keys" / "gallery.key")


@pytest.fixture
def opened(place: str, key: KeySource) -> Iterator[Callable[..., Gallery]]:
    """Opens the gallery at `place`, as often as wanted."""
    with ExitStack() as stack:

        def call(**given: Any) -> Gallery:
            given = {"model_digest": MODEL, "dimensions": DIMENSIONS, "create": True, **given}
            return stack.enter_context(open_gallery(place, given.pop("key", key), **given))

        yield call
