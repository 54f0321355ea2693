"""`edgeproof faces detect`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgeproof.cli.faces.options import detector_options
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError

if TYPE_CHECKING:
    from edgeproof.core.faces import Face
    from edgeproof.library.image_faces import ImageFaces

_SHOWN = 40


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--draw", metavar="DIR", help="Write a copy of every picture here, its faces drawn in.")
@click.option(
    "--frame",
    type=click.Choice(["upright", "stored"]),
    default="upright",
    show_default=True,
    help="Boxes in the picture as a viewer shows it, or in the pixels as the file stores them (before EXIF).",
)
@detector_options
@workers_option
@output_options
def detect(
    output: Output,
    *,
    sources: tuple[str, ...],
    draw: str | None,
    frame: Literal["upright", "stored"],
    faces: dict[str, Any],
    workers: int | None,
) -> int:
    """Find the faces in pictures: boxes, five landmarks, scores.

    SOURCE is a picture or a folder of pictures. A picture in which no face is found, and which seems to be turned, is
    turned and searched again. The exit code is 1 when a picture could not be read; the others are still done.

    \b
    Examples:
      edgeproof faces detect family.jpg --draw drawn
      edgeproof faces detect ~/Pictures --json
      edgeproof faces detect crowd.jpg --long-side 1920 --scales 1,2
      edgeproof faces detect family.jpg --model retinaface-mobilenet025
    """
    from edgeproof.core.files import check_writable
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.faces import detect as library
    from edgeproof.library.faces.faces import Faces

    started = time.monotonic()
    out = Path(draw) if draw else None
    if out:
        check_writable(out / "picture")
    pictures = library.find_pictures(sources, out)
    if not pictures:
        raise DataError(
            f"There is no picture in {', '.join(sources)}.",
            hint="It takes JPEG, PNG, WebP, TIFF, BMP and GIF files.",
        )
    reports = []
    with Faces(**faces) as finder, output.progress() as step:
        step("finding faces", 0, len(pictures))
        for report in library.detect_images(
            pictures, finder, frame=frame, out=out, workers=workers or usable_cores()
        ):
            reports.append(report)
            step("finding faces", len(reports), len(pictures))
    output.document({"images": [report.as_json() for report in reports], "frame": frame})
    _show(output, reports, time.monotonic() - started)
    if out:
        output.say(f"Pictures with the faces drawn in are in {out}.")
    return 1 if any(report.error for report in reports) else 0


def _show(output: Output, reports: Sequence[ImageFaces[Face]], seconds: float) -> None:
    rows = [
        (
            str(report.path),
            str(number),
            f"{face.det_score:.2f}",
            ", ".join(f"{value:.0f}" for value in face.bbox),
        )
        for report in reports
        for number, face in enumerate(report.faces, start=1)
    ]
    if rows:
        output.table("Faces", ("picture", ">face", ">score", ".box: left, top, right, bottom"), rows[:_SHOWN])
    if len(rows) > _SHOWN:
        output.say(f"... and {len(rows) - _SHOWN} more; --json has them all.")
    failed = [report for report in reports if report.error]
    for report in failed[:_SHOWN]:
        output.say(f"{report.path}: {report.error}", style="red")
    if len(failed) > _SHOWN:
        output.say(f"... and {len(failed) - _SHOWN} more; --json has them all.", style="red")
    without = sum(not report.faces and not report.error for report in reports)
    output.say(
        f"{len(reports)} pictures: {len(rows)} faces, {without} pictures without one, {len(failed)} errors;"
        f" {seconds:.1f} s."
    )
