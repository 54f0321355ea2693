"""Names of people, decisions, and times to keep them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproof.core.errors import UsageError
from edgeproof.gallery.cipher import clean_name
from edgeproof.gallery.matching import Candidate, decide
from edgeproof.gallery.retention import in_words, parse_retention


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [("Ada", "Ada"), ("  Ada \n Lovelace ", "Ada Lovelace"), ("e\u0301", "\u00e9"), ("李 雷", "李 雷")],
)
def test_one_person_has_one_name(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


@pytest.mark.parametrize(
    "name", ["", "  ", "\n", "a\x00b", "a\x1b[31m", "x" * 201, "unknown", "Unknown ", "a\u202eb"]
)
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="can't be a person's name"):
        clean_name(name)


@given(st.text())
def test_a_name_is_clean_or_refused(text: str) -> None:
    try:
        clean = clean_name(text)
    except UsageError:
        return
    assert clean_name(clean) == clean
    assert clean.isprintable()


@given(
    similar=st.lists(st.floats(-1, 1), max_size=4).map(lambda values: sorted(values, reverse=True)),
    threshold=st.floats(-1, 1),
    margin=st.floats(0, 2),
)
def test_a_name_only_where_sure(similar: list[float], threshold: float, margin: float) -> None:
    found = tuple(Candidate(f"P{number}", value, number) for number, value in enumerate(similar))
    match = decide(found, threshold, margin)
    ahead = len(similar) < 2 or similar[0] - similar[1] >= margin
    assert match.known == bool(similar and similar[0] >= threshold and ahead)
    assert match.known == (not match.reason)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("365d", 31_536_000), ("12 h", 43_200), ("2Y", 63_115_200), ("1w", 604_800), ("Forever", None)],
)
def test_times(text: str, seconds: int | None) -> None:
    assert parse_retention(text) == seconds
    assert in_words(seconds)


@pytest.mark.parametrize("text", ["", "365", "d", "0d", "-1d", "1.5d", "999999999y", "1m", "nan", "1d 2h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        parse_retention(text)
