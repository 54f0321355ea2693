"""`edgeproof faces search`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("image", metavar="IMG")
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    metavar="K",
    help="Candidates for each face.",
)
@click.option(
    "--threshold",
    type=float,
    metavar="S",
    help="Least similarity, -1 to 1. Default: the gallery's own (`faces report --apply` sets it), else the model's.",
)
@click.option(
    "--margin", type=float, metavar="S", help="How far the second person must lie behind. Default: 0.05."
)
@gallery_options
@faces_options
@output_options
def search(
    output: Output,
    *,
    image: str,
    top: int,
    threshold: float | None,
    margin: float | None,
    open_gallery: Callable[..., Any],
    faces: dict[str, Any],
) -> int:
    """Who of a gallery is in a picture.

    Each face gets its best candidates and a decision: a name, or "unknown" where nobody is similar enough or two
    people are too close to each other.

    \b
    Examples:
      edgeproof faces search party.jpg
      edgeproof faces search party.jpg --top 3 --threshold 0.5 --json
    """
    from edgeproof.gallery.matching import check_bounds
    from edgeproof.library.faces.faces import Faces
    from edgeproof.library.gallery.search import search

    check_bounds(threshold, margin)
    with Faces(**faces) as looker:
        recognizer = looker.open().recognizer
        with open_gallery(model_digest=recognizer.digest, dimensions=recognizer.dimensions) as gallery:
            found = search(gallery, looker, image, top=top, threshold=threshold, margin=margin)
            people = len(gallery)
    rows = [one.as_json() for one in found]
    output.document({"path": image, "faces": rows})
    if not rows:
        output.say("No face was found in the picture.")
        return 0
    output.table(
        f"{len(rows)} faces, {people} templates searched",
        (">face at", "decision", ">similarity", "candidates", "why"),
        [
            (
                f"{row['bbox'][0]:.0f},{row['bbox'][1]:.0f}",
                row["decision"],
                "" if row["similarity"] is None else f"{row['similarity']:.3f}",
                ", ".join(f"{one['name']} {one['similarity']:.2f}" for one in row["candidates"]),
                row["reason"],
            )
            for row in rows
        ],
    )
    return 0
