"""`edgeproof faces compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.library.faces.compare import Comparison


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--threshold",
    type=click.FloatRange(-1, 1),
    metavar="S",
    help="The similarity from which two faces count as one person's. Default: the network's own.",
)
@faces_options
@output_options
def compare(
    output: Output, *, first: str, second: str, threshold: float | None, faces: dict[str, Any]
) -> int:
    """Whether two pictures show the same person.

    Where a picture has several faces, the largest counts. The similarity is the cosine of the two embeddings: 1 for
    the same picture, near 0 for two people. The exit code is 0 for both answers, and 1 where a picture has no face.

    \b
    Examples:
      edgeproof faces compare passport.jpg selfie.jpg
      edgeproof faces compare a.jpg b.jpg --threshold 0.4 --json
    """
    from edgeproof.library.faces.compare import compare as run
    from edgeproof.library.faces.faces import Faces

    with Faces(**faces) as finder:
        found = run(first, second, finder, threshold=threshold)
    output.document(found.as_json())
    _show(output, found)
    return 0


def _show(output: Output, found: Comparison) -> None:
    for side in (found.a, found.b):
        if side.faces > 1:
            output.say(f"{side.path} has {side.faces} faces; the largest was compared.")
        for reason in side.face.quality.reasons if side.face.quality else ():
            output.say(f"{side.path}: {reason}.", style="yellow")
    known = found.threshold is not None
    answer = {True: "The same person", False: "Two different people", None: "Not decided"}[found.same]
    limit = f"the threshold is {found.threshold:.3f}" if known else "no threshold is known for this network"
    output.say(f"{answer}: similarity {found.similarity:.3f}, {limit} ({found.model}).", style="bold")
    if not known:
        output.say("Give one with --threshold; `edgeproof faces verify` finds it on pairs of yours.")
