"""What only a file can suffer: kills, full disks, other people's files, and forensic looks."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.processes import ENVIRONMENT
from edgeproof.core.errors import DiskFullError, EdgeproofError, GalleryError, StorageError
from edgeproof.gallery.gallery import Entry, Gallery
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from gallery.people import DIMENSIONS, MODEL, vectors


def _open(path: Path, key: KeySource, **given: Any) -> Gallery:
    return open_gallery(
        path, key, **{"model_digest": MODEL, "dimensions": DIMENSIONS, "create": True, **given}
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "gallery.db"


@pytest.fixture
def gallery(path: Path, key: KeySource) -> Iterator[Gallery]:
    with _open(path, key) as made:
        yield made


def _all_bytes(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_nothing_of_a_forgotten_person_is_left_in_the_files(gallery: Gallery, path: Path) -> None:
    people = vectors(300, DIMENSIONS)
    gallery.enroll_many([Entry(f"P{i}", one, crop=bytes([i % 251]) * 400) for i, one in enumerate(people)])
    secrets: dict[int, list[bytes]] = {}
    for row in gallery.store.people():
        secrets[row.person] = [bytes(row.wrapped), bytes(row.name), bytes(row.lookup)]
    for template in list(gallery.store.templates()):
        secrets[template.person] += [bytes(template.sealed), gallery.store.crop(template.template) or b"?"]
    gone = random.Random(1).sample(sorted(secrets), 60)
    before = _all_bytes(path)
    assert all(secret in before for person in gone for secret in secrets[person][:1])
    assert all(gallery.forget_person(person) for person in gone)
    after = _all_bytes(path)
    for person in gone:
        # Pieces too: what is freed loses its first bytes to SQLite's own lists.
        assert not [s for s in secrets[person] if s in after or s[16:32] in after], person
    assert len(gallery) == 240


def test_files_and_names_are_closed_to_others(gallery: Gallery, path: Path) -> None:
    gallery.enroll(Entry("Ada Lovelace", vectors(1)[0], crop=b"a picture of her"))
    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {"0o600"}
    found = _all_bytes(path)
    for secret in (b"Ada", b"ada", b"Lovelace", b"a picture of her", vectors(1)[0].tobytes()[:16]):
        assert secret not in found


_ENROL = """
import sys
from edgeproof.gallery.gallery import Entry
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gallery.people import DIMENSIONS, MODEL, vectors
path, key, start, count = Path(sys.argv[2]), KeySource(Path(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5])
with open_gallery(path, key, model_digest=MODEL, dimensions=DIMENSIONS, create=True) as gallery:
    for number, vector in enumerate(vectors(start + count, seed=5)[start:], start=start):
        gallery.enroll(Entry(f"P{number}", vector, crop=b"x" * 3000))
        print(number, flush=True)
"""


def _enrolling(path: Path, key: KeySource, start: int, count: int) -> subprocess.Popen[str]:
    tests = str(Path(__file__).parent.parent)
    arguments = [tests, str(path), str(key.file), str(start), str(count)]
    return subprocess.Popen(
        [sys.executable, "-c", _ENROL, *arguments], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def test_a_kill_loses_nothing_that_was_acknowledged(path: Path, key: KeySource) -> None:
    chance, said = random.Random(7), []
    for life in range(3):
        process = _enrolling(path, key, 1000 * life, 1000)
        assert process.stdout is not None
        said += [int(process.stdout.readline()) for _ in range(chance.randint(3, 40))]
        os.kill(process.pid, signal.SIGKILL)
        said += map(
            int, process.stdout.read().split()
        )  # what it said between the last line read and the kill
        process.wait()
        process.stdout.close()
    with _open(path, key) as gallery:
        there = {int(person.name[1:]) for person in gallery.people()}
        # One more may be in each life: committed, and killed before it could say so.
        assert set(said) <= there
        assert len(there) <= len(said) + 3
        assert all(person.templates == person.crops == 1 for person in gallery.people())
        for number, vector in enumerate(vectors(1000, seed=5)[:3]):
            assert gallery.identify(vector).name == f"P{number}"
        assert gallery.store.run("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_two_processes_write_at_once(path: Path, key: KeySource) -> None:
    both = [_enrolling(path, key, start, 40) for start in (0, 40)]
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert len(out.split()) == 40
    with _open(path, key) as gallery:
        assert {person.name for person in gallery.people()} == {f"P{number}" for number in range(80)}
        numbers = [template.template for template in gallery.templates()]
        assert len(numbers) == len(set(numbers)) == 80
        assert [row.revision for row in gallery.audit()] == list(range(1, 81))


def test_a_full_disk_loses_nothing(gallery: Gallery, path: Path, key: KeySource) -> None:
    pages = gallery.store.run("PRAGMA page_count").fetchone()[0]
    gallery.store.run(f"PRAGMA max_page_count = {pages + 4}")
    done = 0
    with pytest.raises(DiskFullError, match="disk is full") as caught:  # noqa: PT012 - until it is full
        while True:
            gallery.enroll(Entry(f"P{done}", vectors(1)[0], crop=b"x" * 3000))
            done += 1
    assert "Free some space" in caught.value.hint
    gallery.store.run("PRAGMA max_page_count = 100000")
    gallery.enroll(Entry("later", vectors(1)[0]))
    with _open(path, key) as again:
        assert len(again) == len(again.people()) == done + 1 > 1


@pytest.mark.parametrize(
    "content",
    [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096, b"SQLite format 3\x00"],
)
def test_what_is_no_database_is_refused_and_left(path: Path, key: KeySource, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(EdgeproofError, match="gallery"):
        _open(path, key)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left(path: Path, key: KeySource) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE holidays (place TEXT)")
    other.close()
    with pytest.raises(GalleryError, match="something else"):
        _open(path, key)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("holidays",)]
    other.close()


def test_a_gallery_cut_short_is_refused(gallery: Gallery, path: Path, key: KeySource) -> None:
    gallery.enroll_many([Entry(f"P{i}", one) for i, one in enumerate(vectors(100, DIMENSIONS))])
    gallery.close()
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(EdgeproofError), _open(path, key) as again:  # noqa: PT012 - wherever it shows
        again.people()
        again.search(vectors(1)[0])


def test_a_folder_and_a_place_below_a_file_are_refused(tmp_path: Path, key: KeySource) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "gallery.db"):
        with pytest.raises(StorageError):
            _open(place, key)


def test_an_old_reader_hinders_the_cleaning_and_that_is_said(gallery: Gallery, path: Path) -> None:
    gallery.enroll(Entry("Ada", vectors(1)[0]))
    gallery.store.run("PRAGMA busy_timeout = 0")
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    assert not gallery.forget("Ada")
    reader.close()
    assert gallery.store.scrub()
