"""The engine of docs/how_to/add_an_engine.md, taken from the page as a user would, opens and runs."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from edgeproof.core.errors import EngineError, InputError, ModelError, NotFoundError, UnknownNameError
from edgeproof.core.tensor import TensorSpec
from edgeproof.engines import ENGINES, open_engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "add_an_engine.md"
WEIGHTS = '{"weights": [[1, 2], [3, 4], [5, 6]]}'


def _block(language: str) -> str:
    (body,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(body)


@pytest.fixture
def linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of the page's engine, which is installed as the page says."""
    found = re.search(r'^\[project\.entry-points\."(.+)"\]\n(\w+) = "((\w+):\w+)"$', _block("toml"), re.M)
    assert found
    group, name, value, module = found.groups()
    (tmp_path / f"{module}.py").write_text(_block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [point for point in [EntryPoint(name, value, wanted)] if point.group == group]

    wanted = group
    monkeypatch.setattr(metadata, "entry_points", entry_points)
    file = tmp_path / "net.json"
    file.write_text(WEIGHTS)
    return file


def test_the_example_is_short() -> None:
    assert len(_block("python").splitlines()) < 60


def test_it_is_found_and_runs(linear: Path) -> None:
    assert "linear" in ENGINES
    with open_engine(linear, engine="linear", threads=2) as opened:
        assert opened.inputs == (TensorSpec("x", ("N", 3), "float32"),)
        assert opened.outputs == (TensorSpec("y", ("N", 2), "float32"),)
        assert (opened.info.name, opened.info.threads) == ("linear", 2)
        answer = opened.run({"x": np.array([[1, 0, 0], [1, 1, 1]], np.float32)})["y"]
        np.testing.assert_array_equal(answer, np.array([[1, 2], [9, 12]], np.float32))
        assert answer.dtype == np.float32


def test_the_device_is_strict(linear: Path) -> None:
    with pytest.raises(EngineError, match="can't run on 'cuda'"):
        open_engine(linear, engine="linear", device="cuda")


def test_an_unknown_option_is_refused(linear: Path) -> None:
    with pytest.raises(UnknownNameError, match="no option 'relu'"):
        open_engine(linear, engine="linear", options={"relu": True})


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, r"'x' is missing\. Expected: x float32\[N, 3\]"),
        ({"z": np.zeros((1, 3), np.float32)}, "no input 'z'"),
        ({"x": np.zeros((1, 3))}, "dtype float64, expected float32"),
        ({"x": np.zeros((1, 4), np.float32)}, r"shape \[1, 4\]. Expected: x float32\[N, 3\]"),
    ],
)
def test_feeds_that_do_not_fit(linear: Path, feeds: dict[str, np.ndarray], words: str) -> None:
    with open_engine(linear, engine="linear") as opened, pytest.raises(InputError, match=words):
        opened.run(feeds)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "\xff", '{"weights": 3}', '{"weights": []}', '{"weights": [[1, 2], [3]]}'],
)
def test_a_broken_file_is_a_model_error(linear: Path, text: str) -> None:
    linear.write_text(text, encoding="latin-1")
    with pytest.raises(ModelError):
        open_engine(linear, engine="linear")


def test_no_file_is_not_found(linear: Path) -> None:
    with pytest.raises(NotFoundError):
        open_engine(linear.with_name("other.json"), engine="linear")


def test_a_closed_engine_says_so(linear: Path) -> None:
    opened = open_engine(linear, engine="linear")
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="closed"):
        opened.run({"x": np.zeros((1, 3), np.float32)})
