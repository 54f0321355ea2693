"""Options that several verbs share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError
from edgeproof.core.options import Value

F = Callable[..., Any]


def output_options(command: F) -> F:
    """Add --json and --quiet; the command gets an `Output` as its first argument."""

    @click.option("--json", "json_wanted", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="No tables and no progress; errors still show.")
    @functools.wraps(command)
    def wrapped(*, json_wanted: bool, quiet: bool, **options: Any) -> Any:
        return command(Output(json_wanted=json_wanted, quiet=quiet), **options)

    return wrapped


def engine_options(command: F) -> F:
    """Add --engine and --engine-option; the command gets them as `engine`: {"engine": NAME, "options": {...}}."""

    @click.option(
        "--engine",
        default="onnxruntime",
        show_default=True,
        metavar="NAME",
        help="What runs a model file, such as openvino; a bundle names its own.",
    )
    @click.option(
        "--engine-option",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of that engine, such as precision=bf16. May be given several times.",
    )
    @functools.wraps(command)
    def wrapped(*arguments: Any, engine: str, settings: Sequence[str], **others: Any) -> Any:
        chosen = {"engine": engine, "options": dict(map(engine_setting, settings))}
        return command(*arguments, engine=chosen, **others)

    return wrapped


def orientation_options(command: F) -> F:
    """Add the options that choose and steer an orientation network.

    The command gets them as `orientation`, the keyword arguments of `Orientation`.
    """

    @click.option(
        "--model",
        metavar="BUNDLE|FILE",
        help="A bundle made by `edgeproof fit`, or a file of any format that `edgeproof import` reads. Default: the "
        "network that comes with edgeproof.",
    )
    @click.option(
        "--turns",
        type=click.Choice(["1", "4"]),
        default="1",
        show_default=True,
        help="Look at each picture in one or in all four turns: 4 is more accurate and takes four times as long.",
    )
    @click.option(
        "--threshold",
        type=float,
        metavar="P",
        help="Confidence below which a photo is left alone as unsure. The default keeps the share of upright "
        "photos that would be turned wrongly at 0.5 % or less (none of 306 measured). The price: of turned photos of "
        "general objects three in ten are put right, of everyday scenes four in ten. 0.8 puts 45 and 58 % right, and "
        "turns 3 to 4 % of the upright ones wrongly.",
    )
    @engine_options
    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        model: str | None,
        turns: str,
        threshold: float | None,
        engine: dict[str, Any],
        **others: Any,
    ) -> Any:
        chosen = {"model": model, "turns": int(turns), "threshold": threshold, **engine}
        return command(*arguments, orientation=chosen, **others)

    return wrapped


def engine_setting(text: str) -> tuple[str, Value]:
    """NAME=VALUE of --engine-option."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"The engine option is {text!r}.", hint="Write NAME=VALUE, such as precision=bf16.")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isdecimal() else value


def workers_option(command: F) -> F:
    """Add --workers."""
    return click.option(
        "--workers",
        type=click.IntRange(1, 64),
        metavar="N",
        help="Photos looked at side by side. Default: one a core.",
    )(command)
