"""Collections on a PostgreSQL server that several devices share, and that may go away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeproof.gallery import members
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from gallery.people import eventually
from gallery.postgres_server import Server, programs, running
from serve.fake_pool import ask
from serve.played_gallery import gallery_app, png
from serve.test_serve_gallery import ONE, person, send

pytest.importorskip("cryptography", reason="needs the extra `gallery`")
pytest.importorskip("psycopg", reason="needs the extra `postgres`")


@pytest.fixture
def server() -> Iterator[Server]:
    folder = programs()
    if folder is None:
        pytest.skip("needs a PostgreSQL server: Debian's package postgresql")
    with running(folder) as started:
        yield started


def test_people_in_memory_answer_while_the_server_is_away(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(members, "_TRY_AGAIN_S", 0.0)
    key, url = tmp_path / "keys" / "gallery.key", server.new_database()
    with gallery_app({"default": url}, key) as (app, _):
        ada = png(tmp_path, 1)

        def search() -> Any:
            answer = send(app, f"{ONE}/search", ada)
            assert answer.status_code == 200, answer.text
            return answer.json()["images"][0]["result"]

        assert send(app, person("Ada"), ada).status_code == 200
        assert (search()["faces"][0]["decision"], search()["stale"]) == ("Ada", False)
        with open_gallery(url, KeySource(key)) as other:
            other.forget("Ada")
        assert eventually(lambda: bool(search()["faces"][0]["decision"] == "unknown"))
        assert send(app, person("Bea"), ada).status_code == 200
        assert search()["faces"][0]["decision"] == "Bea"

        server.stop()
        for _ in range(2):
            assert (search()["faces"][0]["decision"], search()["stale"]) == ("Bea", True)
        refused = send(app, person("Cleo"), png(tmp_path, 3))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage")
        assert "edgeproof-pg-" not in refused.text
        assert "edgeproof-pg-" in capfd.readouterr().err

        server.start()
        assert eventually(lambda: search()["stale"] is False)
        assert ask(app, "GET", ONE).json()["people"] == 1
        with open_gallery(url, KeySource(key)) as other:
            searched = [row.count for row in other.audit() if row.action == "search"]
        assert max(count or 0 for count in searched) >= 5  # those that nobody could write down at their time
