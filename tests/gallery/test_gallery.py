"""Enrolling, searching and forgetting, the same on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import (
    GalleryError,
    GalleryKeyError,
    InputError,
    NewerGalleryError,
    NotFoundError,
    TamperedTemplateError,
    UnknownNameError,
    UsageError,
)
from edgeproof.gallery.gallery import Entry, Gallery
from edgeproof.gallery.index import KINDS
from edgeproof.gallery.master_key import KeySource
from edgeproof.gallery.opening import open_gallery
from gallery.people import DIMENSIONS, OTHER_MODEL, entries, eventually, near, vectors

Open = Callable[..., Gallery]


def test_who_was_enrolled_is_found_again_after_reopening(opened: Open) -> None:
    people = vectors(5)
    with opened() as gallery:
        assert [gallery.enroll(entry).new for entry in entries(5)] == [True] * 5
        assert not gallery.enroll(Entry("person  0", near(people[0], people[1], 0.9))).new
    gallery = opened()
    match = gallery.identify(near(people[3], people[4], 0.95))
    assert (match.name, len(gallery)) == ("Person 3", 6)
    assert match.similarity == pytest.approx(0.95, abs=1e-5)
    assert match.candidates[1].name == "Person 4"
    assert {person.name: person.templates for person in gallery.people()}["Person 0"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_index_gives_the_same(opened: Open, kind: str) -> None:
    if kind == "faiss":
        pytest.importorskip("faiss", reason="needs the extra `faiss`")
    people = vectors(40, seed=3)
    gallery = opened(index=kind)
    gallery.enroll_many([Entry(f"P{number}", vector) for number, vector in enumerate(people)])
    for query in vectors(5, seed=4)[:, :]:
        exact = people @ query
        found = gallery.search(query, top=7)
        assert [one.name for one in found] == [f"P{number}" for number in np.argsort(-exact)[:7]]
        assert [one.similarity for one in found] == pytest.approx(sorted(exact, reverse=True)[:7], abs=1e-6)
    gallery.forget(found[0].name)
    assert [one.name for one in gallery.search(query, top=6)] == [one.name for one in found[1:]]


def test_a_stranger_and_a_double_are_unknown(opened: Open) -> None:
    a, b, stranger = vectors(3)
    gallery = opened()
    gallery.enroll(Entry("Ada", a))
    assert gallery.identify(a).name == "Ada"
    gallery.enroll(Entry("Bea", near(a, b, 0.99)))
    far, double = gallery.identify(stranger), gallery.identify(near(a, b, 0.995), threshold=0.5, margin=0.1)
    assert (far.name, double.name) == ("unknown", "unknown")
    assert "below the threshold" in far.reason
    assert "ahead of" in double.reason
    assert gallery.identify(a, threshold=0.5, margin=0.005).name == "Ada"


def test_an_empty_gallery_knows_nobody(opened: Open) -> None:
    match = opened().identify(vectors(1)[0])
    assert (match.name, match.similarity, match.candidates) == ("unknown", None, ())


def test_two_open_galleries_see_each_others_changes(opened: Open) -> None:
    one, other = opened(), opened()
    assert len(other) == 0
    for number, entry in enumerate(entries(3), start=1):
        one.enroll(entry)
        assert eventually(lambda: len(other) == number)  # noqa: B023
    assert other.identify(vectors(3)[1]).name == "Person 1"
    one.forget("Person 1")
    assert eventually(
        lambda: [match.name for match in other.search(vectors(3)[1])] == ["Person 0", "Person 2"]
    )
    template = other.enroll(Entry("Person 0", vectors(4)[3])).template
    assert eventually(lambda: one.identify(vectors(4)[3]).name == "Person 0")
    one.remove_template(template)
    assert eventually(lambda: not other.identify(vectors(4)[3]).known)


def test_an_enrolment_of_many_is_all_or_nothing(opened: Open) -> None:
    gallery = opened()
    bad = [*entries(3), Entry("unknown", vectors(1)[0])]
    with pytest.raises(UsageError):
        gallery.enroll_many(bad)
    assert (len(gallery), gallery.people(), gallery.audit()) == (0, [], [])


@pytest.mark.parametrize(
    "embedding",
    [
        np.zeros(DIMENSIONS, np.float32),
        np.full(DIMENSIONS, np.nan, np.float32),
        np.full(DIMENSIONS, np.inf, np.float32),
        np.ones(DIMENSIONS - 1, np.float32),
        np.ones((1, DIMENSIONS), np.float32),
        np.ones(DIMENSIONS, np.int64),
        [],
    ],
)
def test_what_is_no_embedding_is_refused(opened: Open, embedding: Any) -> None:
    gallery = opened()
    for use in (gallery.search, gallery.identify, lambda vector: gallery.enroll(Entry("Ada", vector))):
        with pytest.raises(InputError):
            use(embedding)
    assert gallery.people() == []


def test_a_wrong_key_opens_nothing(opened: Open, tmp_path: Path) -> None:
    opened().enroll(entries(1)[0])
    other = KeySource(tmp_path / "other" / "key")
    other.fresh(None)
    with pytest.raises(GalleryKeyError, match="not the key"):
        opened(key=other)


def test_a_passphrase_opens_it(opened: Open) -> None:
    def says(text: str) -> KeySource:
        return KeySource(passphrase=lambda: text)

    opened(key=says("correct horse")).enroll(entries(1)[0])
    assert len(opened(key=says("correct horse"))) == 1
    with pytest.raises(GalleryKeyError, match="not the key"):
        opened(key=says("battery staple"))
    with pytest.raises(GalleryKeyError, match="passphrase"):
        opened()


def test_another_model_is_refused(opened: Open) -> None:
    opened().enroll(entries(1)[0])
    with pytest.raises(GalleryError, match="another recogniser") as caught:
        opened(model_digest=OTHER_MODEL)
    assert "faces migrate" in caught.value.hint


def test_what_is_not_there_is_not_made_by_searching(place: str, key: KeySource) -> None:
    with pytest.raises(NotFoundError, match="no gallery"):
        open_gallery(place, key)
    assert not Path(place).exists()
    assert key.file is not None
    assert not key.file.exists()


def test_a_newer_gallery_is_refused(opened: Open) -> None:
    gallery = opened()
    gallery.store.run("UPDATE gallery SET schema_number = 99")
    with pytest.raises(NewerGalleryError, match="schema 99"):
        opened()


# Statement -> what the message names.
_TAMPERED = {
    "UPDATE templates SET sealed = (SELECT sealed FROM templates WHERE template = 4) WHERE template = 2": "template 2",
    "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE person = 3) WHERE person = 1": "person 1",
    "UPDATE templates SET person = 3 WHERE template = 2": "template 2",
    "UPDATE templates SET template = 77 WHERE template = 2": "template 77",
    "UPDATE templates SET sealed = substr(sealed, 1, 30) WHERE template = 2": "template 2",
    "UPDATE templates SET sealed = substr(sealed, 1, 0) WHERE template = 2": "template 2",
}


@pytest.mark.parametrize("statement", _TAMPERED)
def test_a_tampered_row_is_named(opened: Open, statement: str) -> None:
    gallery = opened()
    gallery.enroll(Entry("Ada", vectors(2)[0]))  # person 1, template 2
    gallery.enroll(Entry("Bea", vectors(2)[1]))  # person 3, template 4
    gallery.store.run(statement)
    with opened() as again, pytest.raises(TamperedTemplateError, match=_TAMPERED[statement]) as caught:
        again.search(vectors(1)[0])
    assert "faces forget --" in caught.value.hint


def test_a_damaged_template_can_be_taken_out(opened: Open) -> None:
    gallery = opened()
    for entry in entries(2):
        gallery.enroll(entry)
    gallery.store.run("UPDATE templates SET sealed = substr(sealed, 2) WHERE template = 2")
    with opened() as again:
        again.remove_template(2)
        assert [one.name for one in again.search(vectors(1)[0])] == ["Person 1"]
        with pytest.raises(UnknownNameError):
            again.remove_template(2)


def test_the_one_forgotten_is_gone_and_the_log_knows_no_name(opened: Open) -> None:
    gallery = opened()
    number = gallery.enroll(entries(1)[0]).person
    gallery.forget("person 0")
    assert (gallery.people(), gallery.search(vectors(1)[0])) == ([], ())
    with pytest.raises(UnknownNameError):
        gallery.forget("Person 0")
    assert [(row.action, row.person, row.count) for row in gallery.audit()] == [
        ("enroll", number, 1),
        ("forget", number, 1),
    ]
    assert gallery.enroll(entries(1)[0]).person != number


def test_the_audit_log_is_never_changed(opened: Open) -> None:
    gallery = opened()
    gallery.record("search", 2)
    for statement in ("DELETE FROM audit", "UPDATE audit SET action = 'nothing'"):
        with pytest.raises(Exception, match="never changed"):
            gallery.store.run(statement)
    assert [(row.action, row.count) for row in gallery.audit()] == [("search", 2)]


def test_people_are_forgotten_when_their_time_is_over(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = opened()
    ada, bea, eve = vectors(3)
    gallery.settle(retain_s=1000)
    gallery.enroll(Entry("Ada", ada))
    gallery.enroll(Entry("Bea", bea, retain_s=5000))
    gallery.enroll(Entry("Eve", eve))
    gallery.enroll(Entry("Eve", eve, retain_s=9000))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2000)
    assert not gallery.identify(ada).known
    assert [person.name for person in gallery.people()] == ["Bea", "Eve"]
    monkeypatch.setattr(time, "time", lambda: now + 6000)
    assert [person.name for person in opened().people()] == ["Eve"]
    assert [row.action for row in gallery.audit()][-2:] == ["expire", "expire"]


def test_the_gallerys_own_threshold_holds(opened: Open) -> None:
    ada, other = vectors(2)
    gallery = opened()
    gallery.enroll(Entry("Ada", ada))
    query = near(ada, other, 0.6)
    assert gallery.identify(query).known
    gallery.settle(threshold=0.7)
    assert not gallery.identify(query).known
    assert not opened().identify(query).known
    assert opened().identify(query, threshold=0.5).known
    for bad in ({"threshold": 1.5}, {"threshold": float("nan")}, {"margin": -0.1}):
        with pytest.raises(UsageError):
            gallery.settle(**bad)


def test_threads_enrol_and_search_together(opened: Open) -> None:
    gallery = opened()
    people, failed = vectors(24, dimensions=DIMENSIONS, seed=9), []

    def work(start: int) -> None:
        try:
            for number in range(start, 24, 4):
                gallery.enroll(Entry(f"P{number}", people[number]))
                assert gallery.search(people[number], top=1)[0].name == f"P{number}"
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert eventually(lambda: len(gallery) == 24)
    assert len(opened()) == 24


def test_crops_come_back_as_they_were(opened: Open) -> None:
    gallery = opened()
    person = gallery.enroll(Entry("Ada", vectors(1)[0], crop=b"a picture")).person
    gallery.enroll(Entry("Ada", vectors(2)[1]))
    found = list(opened().templates(person))
    assert [one.crop for one in found] == [b"a picture", None]
    np.testing.assert_allclose(found[1].embedding, vectors(2)[1])
    assert gallery.find("ADA").crops == 1
