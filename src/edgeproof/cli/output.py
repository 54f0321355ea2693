"""What people and programs see: one JSON document on stdout, everything for people on stderr."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from edgeproof.core.errors import EdgeproofError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Step(Protocol):
    """Called with a stage's name, what is done of it and how much it is: 0 where nobody knows."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


class Output:
    """Where a command's words go.

    Arguments:
        json_wanted: print the document that `document` is given.
        quiet: leave out everything for people but errors.
    """

    def __init__(self, *, json_wanted: bool, quiet: bool) -> None:
        self._json, self._quiet = json_wanted, quiet
        self._made: Console | None = None

    @property
    def _console(self) -> Console:
        if self._made is None:
            from rich.console import Console

            self._made = Console(stderr=True, highlight=False)
        return self._made

    def document(self, value: Mapping[str, Any]) -> None:
        """Print the command's JSON, if it was asked for."""
        if not self._json:
            return
        self.line(value)

    @property
    def json_wanted(self) -> bool:
        """Whether `document` prints."""
        return self._json

    def line(self, value: Mapping[str, Any]) -> None:
        """Print one line of JSON now, for a command that was asked for a stream of them."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Bytes of a file name that are no UTF-8 come out as \udcNN, which JSON reads back to the same name.
            sys.stdout.reconfigure(errors="backslashreplace")
        print(json.dumps(_finite(value), ensure_ascii=False), flush=True)

    def plain(self, text: str) -> None:
        """One line for people from a program that stays: without what makes tables, which takes 8 MB."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str, style: str = "") -> None:
        """One line for people; `[` is no markup here."""
        if not self._quiet:
            self._console.print(text, style=style, markup=False, soft_wrap=True)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()
    ) -> None:
        """A table; columns whose name begins with `>` are right-aligned, and never broken, like those with `.`."""
        if self._quiet:
            return
        from rich.text import Text

        made = self._table(title, columns)
        for row, style in zip(rows, styles or [""] * len(rows), strict=True):
            made.add_row(*(Text(cell) for cell in row), style=style)
        self._console.print(made)

    def _table(self, title: str, columns: Sequence[str]) -> Table:
        from rich import box
        from rich.table import Table

        made = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for name in columns:
            right = name.startswith(">")
            made.add_column(
                name.lstrip(">."),
                justify="right" if right else "left",
                no_wrap=name[:1] in ">.",
                overflow="fold",
            )
        return made

    @contextmanager
    def progress(self, *, sizes: bool = False, rate: str = "") -> Iterator[Step]:
        """A progress bar while the block runs, where people are looking.

        Arguments:
            sizes: it counts bytes.
            rate: what it counts, to show how many of them a second.
        """
        if self._quiet or not sys.stderr.isatty():
            yield lambda *_: None
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text("" if task.speed is None else f"{task.speed:.1f} {rate} a second")

        amount = DownloadColumn() if sizes else MofNCompleteColumn()
        last = Rate() if rate else TimeRemainingColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, last)
        with Progress(*columns, console=self._console, transient=True) as bar:
            tasks: dict[str, Any] = {}

            def step(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total or None)
                bar.update(tasks[stage], completed=done, total=total or None)

            yield step


def complain(error: EdgeproofError) -> None:
    """An error, in one line, with what to do next."""
    print(f"edgeproof: {error}", file=sys.stderr)


def _finite(value: Any) -> Any:
    """NaN and infinity are no JSON: what is not a number is unknown, so null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
