"""What only a server can suffer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeproof.core.errors import MissingExtraError, StorageError
from edgeproof.gallery import members
from edgeproof.gallery.gallery import Entry, Gallery
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from gallery.people import DIMENSIONS, MODEL, eventually, vectors
from gallery.postgres_server import Server, programs, running


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    """One that a test may stop and start."""
    folder = programs()
    assert folder is not None
    with running(folder) as own:
        yield own


def _open(place: str, key: KeySource, **given: Any) -> Gallery:
    return open_gallery(
        place, key, **{"model_digest": MODEL, "dimensions": DIMENSIONS, "create": True, **given}
    )


def test_searching_goes_on_without_the_server(
    server: Server, key: KeySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_TRY_AGAIN_S", 0.0)
    place = server.new_database()
    ada, bea, eve = vectors(3)
    with _open(place, key) as gallery, _open(place, key) as other:
        gallery.enroll(Entry("Ada", ada))
        assert gallery.identify(ada).known
        server.stop()
        assert gallery.identify(ada).known
        assert isinstance(gallery.lost, StorageError)
        with pytest.raises(StorageError, match="Can't use the gallery"):
            gallery.enroll(Entry("Bea", bea))
        server.start()
        other.enroll(Entry("Eve", eve))  # its connection is made again
        assert eventually(lambda: gallery.identify(eve).name == "Eve")
        assert gallery.lost is None
        assert gallery.enroll(Entry("Bea", bea)).new
        assert [person.name for person in gallery.people()] == ["Ada", "Bea", "Eve"]


def test_a_search_asks_the_server_nothing(postgres: Server, key: KeySource) -> None:
    with _open(postgres.new_database(), key) as gallery:
        gallery.enroll(Entry("Ada", vectors(1)[0]))
        asked: list[str] = []
        run = gallery.store.run
        gallery.store.run = lambda sql, values=(): (asked.append(sql), run(sql, values))[1]  # type: ignore[method-assign]

        def quiet() -> bool:  # as soon as it has heard of its own enrolment
            asked.clear()
            return gallery.identify(vectors(1)[0]).known and not asked

        assert eventually(quiet)
        assert all(quiet() for _ in range(100))


def test_the_server_sees_no_name_and_no_face(postgres: Server, key: KeySource) -> None:
    import psycopg

    place = postgres.new_database()
    with _open(place, key) as gallery:
        gallery.enroll(Entry("Ada Lovelace", vectors(1)[0], crop=b"a picture of her"))
    with psycopg.connect(place) as connection:
        tables = ["gallery", "people", "keys", "templates", "crops", "audit"]
        rows = [connection.execute(f"SELECT * FROM edgeproof.{table}").fetchall() for table in tables]
    values = [value for table in rows for row in table for value in row]
    assert len(values) > 20
    texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    for secret in (b"Ada", b"Lovelace", b"a picture", vectors(1)[0].tobytes()[:16]):
        assert not any(secret in text for text in texts)


def test_two_who_make_a_gallery_at_once(postgres: Server, key: KeySource) -> None:
    from concurrent.futures import ThreadPoolExecutor

    place = postgres.new_database()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: _open(place, key), range(4)))
    for number, gallery in enumerate(made):
        gallery.enroll(Entry(f"P{number}", vectors(4)[number]))
    assert eventually(lambda: [len(gallery) for gallery in made] == [4] * 4)
    for gallery in made:
        gallery.close()


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://nobody@127.0.0.1:1/none",
        "postgresql://u:secret@127.0.0.1:1/none?port=abc",
        "postgresql://[",
    ],
)
def test_a_server_that_is_not_there_is_a_clear_error(postgres: Server, key: KeySource, place: str) -> None:
    with pytest.raises(StorageError, match="Can't use the gallery") as caught:
        _open(place, key)
    assert "secret" not in str(caught.value)


def test_without_psycopg_it_says_what_to_install(key: KeySource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match="psycopg") as caught:
        _open("postgresql://localhost/none", key)
    assert "edgeproof[postgres]" in caught.value.hint


def test_the_key_is_kept_apart_from_nothing_here(postgres: Server, tmp_path: Path) -> None:
    source = KeySource(tmp_path / "key")
    with _open(postgres.new_database(), source) as gallery:
        assert len(gallery) == 0
    assert (tmp_path / "key").exists()
