"""What is found by name: ours first, third parties beside us, imported when first used."""

from __future__ import annotations

import sys
from collections import OrderedDict
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from edgeproof.core.errors import UnknownNameError
from edgeproof.core.registry import Registry


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    points: list[EntryPoint] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    return points


def _point(name: str, value: str, group: str = "edgeproof.things") -> EntryPoint:
    return EntryPoint(name, value, group)


def test_a_row_is_imported_when_it_is_asked_for(installed: list[EntryPoint]) -> None:
    sys.modules.pop("this", None)
    things = Registry("thing", {"odd": "no.such.module:x", "dict": "collections:OrderedDict"})
    assert list(things) == ["dict", "odd"]
    assert things.load("dict") is OrderedDict
    assert "odd" in things
    assert "even" not in things


def test_third_parties_add_rows_but_never_replace_ours(installed: list[EntryPoint]) -> None:
    installed += [
        _point("mine", "collections:Counter"),
        _point("theirs", "collections:deque"),
        _point("other", "collections:ChainMap", group="edgeproof.engines"),
    ]
    things: Any = Registry("thing", {"mine": "collections:OrderedDict"})
    assert list(things) == ["mine", "theirs"]
    assert things.load("mine") is OrderedDict
    assert things.load("theirs").__name__ == "deque"


@pytest.mark.parametrize(("name", "hint"), [("dct", "Did you mean dict?"), ("zzzz", "Known: dict, theirs.")])
def test_an_unknown_name_says_what_is_known(installed: list[EntryPoint], name: str, hint: str) -> None:
    installed.append(_point("theirs", "collections:deque"))
    with pytest.raises(UnknownNameError) as caught:
        Registry("thing", {"dict": "collections:OrderedDict"}).load(name)
    assert caught.value.message == f"There is no thing called {name!r}."
    assert caught.value.hint == hint
