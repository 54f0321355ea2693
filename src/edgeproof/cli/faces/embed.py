"""`edgeproof faces embed`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError

if TYPE_CHECKING:
    from edgeproof.core.faces import Face
    from edgeproof.library.image_faces import ImageFaces

_SHOWN = 40


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", metavar="FILE.npz", help="Write all embeddings to one file of numpy.")
@faces_options
@workers_option
@output_options
def embed(
    output: Output,
    *,
    sources: tuple[str, ...],
    out: str | None,
    faces: dict[str, Any],
    workers: int | None,
) -> int:
    """The vectors that tell faces apart, and how good each face is to see.

    SOURCE is a picture or a folder of pictures. Embeddings have length 1: the product of two is their similarity.
    Those of two networks can't be compared. The exit code is 1 when a picture could not be read; the others are
    still done.

    \b
    Examples:
      edgeproof faces embed family.jpg --json
      edgeproof faces embed ~/Pictures --out faces.npz
    """
    from edgeproof.core.files import check_writable
    from edgeproof.devices.host import usable_cores
    from edgeproof.imaging.find import find_photos
    from edgeproof.library.faces import images as library
    from edgeproof.library.faces.faces import Faces

    started = time.monotonic()
    if out:
        library.check_npz(out)
        check_writable(out)
    photos = find_photos(sources)
    if not photos:
        raise DataError(
            f"There is no picture in {', '.join(sources)}.",
            hint="It takes JPEG, PNG, WebP, TIFF, BMP and GIF files.",
        )
    reports = []
    with Faces(**faces) as finder, output.progress() as step:
        step("embedding faces", 0, len(photos))
        for report in library.embed_images(photos, finder, workers=workers or usable_cores()):
            reports.append(report)
            step("embedding faces", len(reports), len(photos))
        model = {"name": finder.recognizer.name, "sha256": finder.recognizer.digest}
        if out:
            library.save_embeddings(out, reports, finder)
    output.document({"images": [report.as_json() for report in reports], "model": model, "out": out})
    _show(output, reports, time.monotonic() - started)
    if out:
        output.say(f"The embeddings are in {out}.")
    return 1 if any(report.error for report in reports) else 0


def _show(output: Output, reports: Sequence[ImageFaces[Face]], seconds: float) -> None:
    rows = [
        (
            str(report.path),
            str(number),
            f"{face.det_score:.2f}",
            f"{face.quality.score:.2f}",
            "; ".join(face.quality.reasons),
        )
        for report in reports
        for number, face in enumerate(report.faces, start=1)
        if face.quality
    ]
    if rows:
        columns = ("picture", ">face", ">score", ">quality", "what is wrong with it")
        output.table("Faces", columns, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        output.say(f"... and {len(rows) - _SHOWN} more; --json has them all.")
    failed = [report for report in reports if report.error]
    for report in failed[:_SHOWN]:
        output.say(f"{report.path}: {report.error}", style="red")
    without = sum(not report.faces and not report.error for report in reports)
    output.say(
        f"{len(reports)} pictures: {len(rows)} faces, {without} pictures without one, {len(failed)} errors;"
        f" {seconds:.1f} s."
    )
