"""`edgeproof faces enroll`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError

if TYPE_CHECKING:
    from edgeproof.library.gallery.enroll import EnrolReport


@click.command()
@click.argument("name")
@click.argument("paths", nargs=-1, required=True, metavar="IMG...")
@click.option("--largest", is_flag=True, help="Of several faces take the largest, instead of refusing.")
@click.option("--force", is_flag=True, help="Take a face whatever its quality and whoever it looks like.")
@click.option(
    "--keep-crops",
    is_flag=True,
    help="Keep the aligned faces too, encrypted: another model can then take over the gallery.",
)
@click.option("--retain", metavar="TIME", help="Forget the person after this time, such as 365d; or forever.")
@gallery_options
@faces_options
@output_options
def enroll(
    output: Output,
    *,
    name: str,
    paths: tuple[str, ...],
    largest: bool,
    force: bool,
    keep_crops: bool,
    retain: str | None,
    open_gallery: Callable[..., Any],
    faces: dict[str, Any],
) -> int:
    """Put a person into a gallery.

    IMG is a picture, or a folder of pictures, of the person alone. A face that is too small, blurred, turned away or
    dark is refused with the reason, and so is one that looks like somebody else of the gallery. Each picture that is
    reported as enrolled is safe on the disk. Templates and names are encrypted. The exit code is 1 where a picture was
    refused or couldn't be read.

    \b
    Examples:
      edgeproof faces enroll "Ada Lovelace" ada1.jpg ada2.jpg
      edgeproof faces enroll Ada photos/ada --largest --keep-crops --retain 365d
      edgeproof faces enroll Ada ada.jpg --gallery postgresql://door@server/faces
    """
    from edgeproof.gallery.retention import parse_retention
    from edgeproof.imaging.find import find_photos
    from edgeproof.library.faces.faces import Faces
    from edgeproof.library.gallery.enroll import Gate, enroll

    gate = Gate(force, largest, keep_crops, parse_retention(retain) if retain else None)
    photos = find_photos(list(paths))
    if not photos:
        raise DataError(f"There is no picture in {', '.join(paths)}.", hint="Give pictures of one person.")
    reports: list[EnrolReport] = []
    with Faces(**faces) as looker, output.progress() as step:
        recognizer = looker.open().recognizer
        with open_gallery(
            model_digest=recognizer.digest, dimensions=recognizer.dimensions, create=True
        ) as gallery:
            for report in enroll(gallery, looker, name, photos, gate):
                reports.append(report)
                step("enrolling", len(reports), len(photos))
            place = gallery.place
    _show(output, name, reports, place)
    return 0 if all(report.decision == "enrolled" for report in reports) else 1


def _show(output: Output, name: str, reports: list[EnrolReport], place: str) -> None:
    counts = {
        word: sum(report.decision == word for report in reports) for word in ("enrolled", "refused", "error")
    }
    output.document(
        {
            "name": name,
            "gallery": place,
            "images": [report.as_json() for report in reports],
            "summary": {
                "enrolled": counts["enrolled"],
                "refused": counts["refused"],
                "errors": counts["error"],
            },
        }
    )
    for report in reports:
        if report.decision != "enrolled":
            words = str(report.error) if report.error else " ".join(report.reasons)
            output.say(f"{report.path}: {report.decision}. {words}", style="red")
        elif report.reasons:
            output.say(f"{report.path}: enrolled all the same. {' '.join(report.reasons)}", style="yellow")
    output.say(
        f"{name}: {counts['enrolled']} enrolled, {counts['refused']} refused, {counts['error']} errors, in {place}."
    )
    if counts["refused"]:
        output.say("Better pictures help more than --force, which takes a refused one all the same.")
