"""`edgeproof faces verify`."""

from __future__ import annotations

import time
from typing import Any

import click

from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output

_SHOWN = 20


@click.command()
@click.option("--pairs", required=True, metavar="CSV", help="The pairs: fold,a,b,same (1 or 0).")
@click.option("--images", required=True, metavar="DIR", help="The folder that the names in a and b are in.")
@faces_options
@workers_option
@output_options
def verify(output: Output, *, pairs: str, images: str, faces: dict[str, Any], workers: int | None) -> int:
    """How well people are told apart, on pairs of pictures with known answers.

    The protocol of LFW: each fold is judged at the threshold that is best on all the others. A picture with several
    faces stands for the large one near its middle. A pair without a similarity, as no face was found, counts as
    failed, and as wrong. TAR at FAR: the share of pairs of one person that is accepted where that share of pairs of
    two people is.

    \b
    Examples:
      edgeproof faces verify --pairs lfw/pairs.csv --images lfw/images
      edgeproof faces verify --pairs mine.csv --images photos --recognizer my.onnx --json
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.faces.faces import Faces
    from edgeproof.library.faces.verify import verify_pairs
    from edgeproof.verify.pairs import read_pairs

    started = time.monotonic()
    rows = read_pairs(pairs)
    with Faces(**faces) as finder, output.progress() as step:
        found = verify_pairs(
            rows,
            images,
            finder,
            workers=workers or usable_cores(),
            progress=lambda done, total: step("embedding faces", done, total),
        )
        document = {
            **found.as_json(),
            "model": finder.recognizer.name,
            "seconds": round(time.monotonic() - started, 3),
        }
    output.document(document)
    output.table(f"{document['pairs']} pairs, {document['model']}", ("", ">value"), _rows(document))
    for name, error in found.failures[:_SHOWN]:
        output.say(f"{name}: {error}", style="red")
    if len(found.failures) > _SHOWN:
        output.say(f"... and {len(found.failures) - _SHOWN} more; --json has them all.")
    return 1 if found.failures else 0


def _rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    folds = len(document["folds"])
    rows = [
        (f"accuracy over {folds} folds", f"{document['accuracy']:.2%} ± {document['std']:.2%}"),
        ("threshold that is best on all pairs", f"{document['threshold']:.3f}"),
    ]
    for far, tar in document["tar_at_far"].items():
        limit = document["threshold_at_far"][far]
        found = "n/a: too few pairs of two people" if tar is None else f"{tar:.2%}, threshold {limit:.3f}"
        rows.append((f"TAR at FAR {far}", found))
    return [
        *rows,
        ("equal error rate", f"{document['equal_error']:.2%}"),
        ("pairs that failed", str(document["failed"])),
        ("pictures", str(document["images"])),
        ("seconds", f"{document['seconds']:.0f}"),
    ]
