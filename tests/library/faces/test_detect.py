"""Which copy of an annotated picture gets which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproof.core.errors import NotFoundError
from edgeproof.library.faces.detect import find_pictures


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.jpg", "in/a.jpg", "in/b.webp", "in/b.webp.png", "C.PNG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_copies_keep_their_place_below_a_folder(album: Path) -> None:
    names = [str(name) for _, name in find_pictures([album])]
    assert sorted(names) == ["C.PNG", "a.jpg", "in/a.jpg", "in/b.webp-2.png", "in/b.webp.png"]


def test_files_of_one_name_get_numbers(album: Path) -> None:
    names = [str(name) for _, name in find_pictures([album / "a.jpg", album / "in/a.jpg", album / "a.jpg"])]
    assert names == ["a.jpg", "a-2.jpg"]


def test_what_lies_among_the_copies_is_left_out(album: Path) -> None:
    assert len(find_pictures([album], album / "in")) == 2


def test_a_source_that_is_not_there(album: Path) -> None:
    with pytest.raises(NotFoundError):
        find_pictures([album / "nowhere"])
