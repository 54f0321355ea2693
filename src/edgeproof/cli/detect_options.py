"""Options that `edgeproof detect` and `edgeproof detect evaluate` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from edgeproof.cli.options import engine_options

F = Callable[..., Any]


def detector_options(command: F) -> F:
    """Add the options that choose and steer a detector.

    The command gets them as `detector`, the keyword arguments of `Detector`.
    """

    @click.option(
        "--model",
        required=True,
        metavar="NAME|FILE",
        help="A name of `edgeproof models list`, a bundle, or a model file.",
    )
    @engine_options
    @click.option(
        "--iou",
        type=float,
        metavar="S",
        help="The overlap, 0 to 1, above which two boxes of a class are one object. Default: the family's own.",
    )
    @click.option("--agnostic", is_flag=True, help="Boxes of two classes can be one object too.")
    @click.option(
        "--labels-file",
        "names",
        metavar="FILE",
        help="The names of the classes, a line each. Default: those in the model's file, or COCO's for 80 classes.",
    )
    @click.option(
        "--decoder",
        metavar="FAMILY",
        help="How to read the outputs, such as yolox. Default: told by their shapes.",
    )
    @click.option(
        "--tiles",
        is_flag=True,
        help="Look at large pictures in overlapping tiles too: finds small objects, and takes a look for each tile.",
    )
    @click.option(
        "--long-side",
        type=int,
        metavar="PIXELS",
        help="Of what the network is shown, where it takes any size. Default: 640.",
    )
    @functools.wraps(command)
    def wrapped(*arguments: Any, engine: dict[str, Any], names: str | None, **options: Any) -> Any:
        kept = ("model", "iou", "agnostic", "decoder", "long_side", "tiles")
        chosen = {name: options.pop(name) for name in kept}
        chosen |= {**engine, "labels": names}
        return command(*arguments, detector=chosen, **options)

    return wrapped
