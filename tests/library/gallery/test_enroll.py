"""What gets into a gallery, and what is refused with which reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeproof.core.errors import UsageError
from edgeproof.gallery.gallery import Gallery
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from edgeproof.imaging.decode import decode
from edgeproof.library.gallery.enroll import EnrolReport, Gate, enroll
from edgeproof.library.gallery.migrate import migrate_gallery
from edgeproof.library.gallery.search import search
from gallery.fake_faces import FakeFaces, FakeRecognizer, picture
from gallery.people import DIMENSIONS, MODEL, OTHER_MODEL

pytest.importorskip("cryptography", reason="needs the extra `gallery`")


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    key = KeySource(tmp_path / "keys" / "key")
    with open_gallery(tmp_path / "g.db", key, model_digest=MODEL, dimensions=DIMENSIONS, create=True) as made:
        yield made


def _enrol(gallery: Gallery, name: str, *paths: Path, **gate: Any) -> list[EnrolReport]:
    return list(enroll(gallery, FakeFaces(), name, paths, Gate(**gate)))  # type: ignore[arg-type]


# How the picture is made -> what the reason says.
_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no face": ({"faces": 0}, "no face"),
    "several": ({"faces": 3}, "3 faces"),
    "bad": ({"bad": True}, "blurred"),
    "somebody else": ({"who": 5, "like": 90}, "looks like Bea"),
    "the same again": ({"like": 100}, "already"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_what_is_refused_says_why(gallery: Gallery, tmp_path: Path, case: str) -> None:
    _enrol(gallery, "Ada", picture(tmp_path / "ada.png", 1))
    _enrol(gallery, "Bea", picture(tmp_path / "bea.png", 5))
    made, words = _REFUSED[case]
    path = picture(tmp_path / "new.png", **{"who": 1, "like": 60, **made})
    (report,) = _enrol(gallery, "Ada", path)
    assert report.decision == "refused"
    assert words in " ".join(report.reasons)
    assert gallery.find("Ada").templates == 1
    (forced,) = _enrol(gallery, "Ada", path, force=True, largest=True)
    assert forced.decision == ("refused" if case == "no face" else "enrolled")


def test_each_picture_is_a_row_and_a_bad_file_stops_nothing(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    paths = [tmp_path / "broken.png", picture(tmp_path / "a.png", 1), tmp_path / "none.png"]
    reports = _enrol(gallery, "Ada", *paths)
    assert [report.decision for report in reports] == ["error", "enrolled", "error"]
    rows = [report.as_json() for report in reports]
    assert rows[0]["error"]["code"]
    assert rows[1]["error"] is None
    assert [template.template for template in gallery.templates()] == [rows[1]["template"]]


def test_a_bad_name_looks_at_no_picture(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        _enrol(gallery, "unknown", tmp_path / "none.png")


def test_crops_are_kept_only_where_asked_and_move_to_another_model(gallery: Gallery, tmp_path: Path) -> None:
    _enrol(gallery, "Ada", picture(tmp_path / "a.png", 1))
    assert gallery.find("Ada").crops == 0
    gallery.forget("Ada")
    _enrol(gallery, "Ada", picture(tmp_path / "a.png", 1), keep_crops=True, retain_s=1000)
    ada = gallery.find("Ada")
    assert (ada.crops, (ada.expires or 0) - ada.created) == (1, 1000)
    (template,) = gallery.templates(ada.person)
    assert template.crop is not None
    assert decode(template.crop).pixels.shape == (112, 112, 3)
    done = migrate_gallery(gallery, FakeRecognizer(OTHER_MODEL))  # type: ignore[arg-type]
    assert (done.templates, gallery.head.model) == (1, OTHER_MODEL)


def test_searching_a_picture_finds_and_logs(gallery: Gallery, tmp_path: Path) -> None:
    _enrol(gallery, "Ada", picture(tmp_path / "a.png", 1))
    both = picture(tmp_path / "b.png", 1, faces=2, like=80)
    found = search(gallery, FakeFaces(), both, top=1)  # type: ignore[arg-type]
    assert [one.as_json()["decision"] for one in found] == ["Ada", "Ada"]
    assert [len(one.as_json()["candidates"]) for one in found] == [1, 1]
    (stranger,) = search(gallery, FakeFaces(), picture(tmp_path / "c.png", 7))  # type: ignore[arg-type]
    assert stranger.as_json()["decision"] == "unknown"
    assert [(row.action, row.count) for row in gallery.audit()][1:] == [("search", 2), ("search", 1)]
