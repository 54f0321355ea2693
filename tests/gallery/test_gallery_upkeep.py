"""Another model, another key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeproof.core.errors import GalleryError, GalleryKeyError, InputError
from edgeproof.gallery.gallery import Entry, Gallery
from edgeproof.gallery.master_key import KeySource, new_key_file
from edgeproof.gallery.upkeep import migrate, rekey
from gallery.people import OTHER_MODEL, eventually, vectors

Open = Callable[..., Gallery]


def _embed(crops: Sequence[bytes]) -> NDArray[np.float32]:
    return np.stack([np.eye(8, dtype=np.float32)[int(crop)] for crop in crops])


def test_kept_crops_move_to_another_model(opened: Open) -> None:
    gallery = opened()
    for number in range(5):
        gallery.enroll(Entry(f"P{number}", vectors(5)[number], crop=str(number).encode()))
    gallery.settle(threshold=0.9)
    done = migrate(gallery, _embed, model_digest=OTHER_MODEL, dimensions=8)
    assert (done.templates, done.dropped) == (5, 0)
    with pytest.raises(GalleryError):
        gallery.enroll(Entry("late", vectors(1)[0]))
    with pytest.raises(GalleryError):
        opened()
    moved = opened(model_digest=OTHER_MODEL)
    assert moved.identify(np.eye(8, dtype=np.float32)[3]).name == "P3"
    assert (moved.head.threshold, moved.head.dimensions) == (None, 8)
    assert moved.audit()[-1].action == "migrate"


def test_templates_without_crops_stop_it_unless_dropped(opened: Open) -> None:
    gallery = opened()
    gallery.enroll(Entry("Ada", vectors(2)[0], crop=b"0"))
    gallery.enroll(Entry("Bea", vectors(2)[1]))
    with pytest.raises(GalleryError, match="1 templates") as caught:
        migrate(gallery, _embed, model_digest=OTHER_MODEL, dimensions=8)
    assert "--drop" in caught.value.hint
    assert opened().identify(vectors(2)[1]).known
    assert migrate(gallery, _embed, model_digest=OTHER_MODEL, dimensions=8, drop=True).dropped == 1
    moved = opened(model_digest=OTHER_MODEL)
    assert {person.name: person.templates for person in moved.people()} == {"Ada": 1, "Bea": 0}


def test_a_model_that_fails_changes_nothing(opened: Open) -> None:
    gallery = opened()
    gallery.enroll(Entry("Ada", vectors(2)[0], crop=b"0"))
    with pytest.raises(InputError):
        migrate(
            gallery, lambda crops: np.full((len(crops), 8), np.nan), model_digest=OTHER_MODEL, dimensions=8
        )
    assert opened().identify(vectors(2)[0]).known


def test_what_is_enrolled_meanwhile_is_not_lost(opened: Open) -> None:
    gallery, other = opened(), opened()
    gallery.enroll(Entry("Ada", vectors(2)[0], crop=b"0"))

    def embed(crops: Sequence[bytes]) -> NDArray[np.float32]:
        other.enroll(Entry("Bea", vectors(2)[1]))
        return _embed(crops)

    with pytest.raises(GalleryError, match="Somebody wrote"):
        migrate(gallery, embed, model_digest=OTHER_MODEL, dimensions=8)
    assert [person.name for person in opened().people()] == ["Ada", "Bea"]


def test_another_key(opened: Open, tmp_path: Path) -> None:
    gallery, other = opened(), opened()
    for name, vector in zip(("Ada", "Bea"), vectors(2), strict=True):
        gallery.enroll(Entry(name, vector, crop=b"crop"))
    gallery.forget("Bea")
    assert other.identify(vectors(1)[0]).known
    path = tmp_path / "new" / "key"
    rekey(gallery, new_key_file(path, None), None)
    with pytest.raises(GalleryKeyError):
        opened()
    with pytest.raises(GalleryError):
        eventually(lambda: not other.identify(vectors(1)[0]).known)
    with pytest.raises(GalleryError):
        other.enroll(Entry("Eve", vectors(2)[1]))
    again = opened(key=KeySource(path))
    assert again.identify(vectors(1)[0]).name == "Ada"
    assert [one.crop for one in again.templates(again.find("ada").person)] == [b"crop"]
