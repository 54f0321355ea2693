"""Options that the verbs of `edgeproof faces` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from edgeproof.cli.options import engine_options
from edgeproof.core.errors import UsageError

F = Callable[..., Any]


def detector_options(command: F) -> F:
    """Add the options that choose and steer a face detector.

    The command gets them as `faces`, keyword arguments of `edgeproof.library.faces.Faces`.
    """

    @click.option(
        "--detector",
        "--model",
        metavar="NAME|FILE",
        help="What finds faces: a name of `edgeproof models list`, a bundle or a model file.  [default: yunet]",
    )
    @click.option(
        "--decoder",
        metavar="FAMILY",
        help="How to read a detector's outputs, such as retinaface-1mb, whose anchors are smaller than retinaface's "
        "and whose outputs look the same. Default: told by the outputs, or by the catalogue.",
    )
    @engine_options
    @click.option(
        "--confidence",
        type=float,
        metavar="P",
        help="The score, 0 to 1, from which a candidate is a face. Default: the detector's own.",
    )
    @click.option(
        "--long-side",
        type=int,
        metavar="PIXELS",
        help="The long side of pictures as the detector sees them. More finds smaller faces and takes longer.",
    )
    @click.option(
        "--scales",
        default="1",
        show_default=True,
        metavar="S,S...",
        help="Look at each picture in several sizes, as shares of that one; 1,0.5 finds very large faces too.",
    )
    @click.option("--no-turn", is_flag=True, help="Don't turn a picture in which no face is found.")
    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        detector: str | None,
        decoder: str | None,
        engine: dict[str, Any],
        confidence: float | None,
        long_side: int | None,
        scales: str,
        no_turn: bool,
        **others: Any,
    ) -> Any:
        chosen = {
            "detector": detector,
            "decoder": decoder,
            **engine,
            "confidence": confidence,
            "long_side": long_side,
            "scales": _scales(scales),
            "turn": not no_turn,
        }
        return command(*arguments, faces=chosen, **others)

    return wrapped


def faces_options(command: F) -> F:
    """Add the options that choose and steer both networks, the detector and the recogniser.

    The command gets them as `faces`, the keyword arguments of `edgeproof.library.faces.Faces`.
    """

    @detector_options
    @click.option(
        "--recognizer",
        metavar="NAME|FILE",
        help="What tells them apart, likewise.  [default: mobilefacenet]",
    )
    @click.option(
        "--flip",
        is_flag=True,
        help="Embed the mirror image of each face too: slightly more accurate, twice the cost.",
    )
    @functools.wraps(command)
    def wrapped(
        *arguments: Any, faces: dict[str, Any], recognizer: str | None, flip: bool, **others: Any
    ) -> Any:
        return command(*arguments, faces={**faces, "recognizer": recognizer, "flip": flip}, **others)

    return wrapped


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--scales is {text!r}.", hint="Write numbers with commas between, such as 1,0.5."
        ) from error
