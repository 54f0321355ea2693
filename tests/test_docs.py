"""What the documentation says can be done, can be done."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
from PIL import Image

from edgeproof.cli.main import cli
from edgeproof.core.budget import Budget

ROOT = Path(__file__).resolve().parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
CARDS = tuple(ROOT / "src" / "edgeproof" / "data" / f"{name}.md" for name in ("orientation", "attributes"))
PAGES = (*READMES, ROOT / "CHANGELOG.md", *CARDS, *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"(<!-- run: tests/test_docs.py -->\n)?```(console|python)\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _blocks(page: Path, language: str, *, marked: bool = False) -> list[str]:
    return [
        body
        for mark, kind, body in _BLOCK.findall(page.read_text())
        if kind == language and (mark or not marked)
    ]


def _commands(page: Path, *, marked: bool = False) -> list[str]:
    lines = [line for body in _blocks(page, "console", marked=marked) for line in body.splitlines()]
    return [line[2:] for line in lines if line.startswith("$ ")]


def _words(command: str) -> list[str]:
    """The arguments of an edgeproof command, without what a shell pipes it into."""
    return shlex.split(command.split(" | ", maxsplit=1)[0], comments=True)[1:]


ALL = [(page, line) for page in PAGES for line in _commands(page) if line.startswith("edgeproof ")]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with `photos` in it, as the README has."""
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for number, name in enumerate(("astronaut", "camera")):
        Image.fromarray(np.roll(pixels, number)).resize((320, 240)).save(tmp_path / "photos" / f"{name}.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("page", "command"), ALL, ids=[f"{page.name}-{number}" for number, (page, _) in enumerate(ALL)]
)
def test_commands_and_options_exist(page: Path, command: str) -> None:
    words = _words(command)
    with cli.make_context(
        "edgeproof", words[:1] if words[0] == "--help" else [], resilient_parsing=True
    ) as group:
        if not words[0].startswith("-"):
            assert isinstance(group.command, click.Group)
            name, verb, rest = group.command.resolve_command(group, words)
            assert verb is not None
            with verb.make_context(name, rest, parent=group) as context:
                if budget := context.params.get("budget"):
                    Budget.parse(budget)


@pytest.mark.parametrize("command", _commands(READMES[0], marked=True))
def test_commands_of_the_readme_run(desk: Path, command: str) -> None:
    done = _run([sys.executable, "-m", "edgeproof", *_words(command)], desk)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", _blocks(READMES[0], "python", marked=True))
def test_python_of_the_readme_runs(desk: Path, code: str) -> None:
    done = _run([sys.executable, "-c", code], desk)
    assert done.returncode == 0, done.stderr


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("language", ["console", "python"])
def test_both_readmes_show_the_same_code(language: str) -> None:
    assert _blocks(READMES[0], language) == _blocks(READMES[1], language)
    assert _blocks(READMES[0], language)


def test_both_readmes_have_the_same_figures() -> None:
    rows = [re.findall(r"\d+\.\d %", page.read_text()) for page in READMES]
    assert sorted(rows[0]) == sorted(rows[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if "://" not in link and not link.startswith("#"):
            assert (page.parent / link.split("#")[0]).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("name", ["cli.md", "budget.md"])
def test_reference_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text()
    assert written == _tool("reference").pages()[name], "run: python tools/reference.py"


def test_engines_of_the_reference_are_up_to_date() -> None:
    tool = _tool("engines_table")
    written = (ROOT / "docs" / "reference" / "engines.md").read_text()
    half, mark, measured = written.partition("\n" + tool.MEASURED)
    assert half == tool.engines_half(), "run: python tools/engines_table.py"
    assert mark
    assert "| yunet-n-640.onnx |" in measured, "written without the networks: set EDGEPROOF_SHARED"


def _tool(name: str) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_model_card_has_the_digest_of_the_network(card: Path) -> None:
    from edgeproof.core.files import sha256_of

    assert sha256_of(card.with_suffix(".onnx")) in card.read_text()
