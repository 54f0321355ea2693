"""Every error says what happened and what to do, and survives the way to another process."""

from __future__ import annotations

import pickle

import pytest

from edgeproof.core import errors
from edgeproof.core.errors import EdgeproofError, did_you_mean

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, EdgeproofError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_words_everywhere(kind: type[EdgeproofError]) -> None:
    error = kind("It broke because of X.", hint="Do Y.")
    assert str(error) == "It broke because of X. Do Y."
    assert error.as_json() == {"code": kind.code, "message": "It broke because of X.", "hint": "Do Y."}
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.as_json()) == (kind, error.as_json())
    assert str(kind("Only this.")) == "Only this."


def test_codes_are_unique_and_the_tree_is_drawn_in_full() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert not [kind.__name__ for kind in KINDS if kind.__name__ not in (errors.__doc__ or "")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_usage_exits_with_2_and_the_rest_with_1(kind: type[EdgeproofError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, errors.UsageError) else 1)


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("rotat", "Did you mean rotate?"),
        ("ROTATE", "Did you mean rotate?"),
        ("zzz", "Known: check, fit, rotate."),
        ("", "Known: check, fit, rotate."),
    ],
)
def test_did_you_mean(word: str, answer: str) -> None:
    assert did_you_mean(word, ["rotate", "fit", "check"]) == answer
