"""`edgeproof rotate` and `edgeproof rotate evaluate`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.options import orientation_options, output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError

if TYPE_CHECKING:
    from edgeproof.library.orientation.rotate import PhotoReport

_SHOWN = 40


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    metavar="DIR",
    help="Write a copy of every photo here, upright where the answer is sure. JPEGs get another EXIF "
    "orientation and keep every pixel; other formats are turned without loss. Originals are never touched.",
)
@orientation_options
@workers_option
@output_options
def rotate(
    output: Output,
    *,
    paths: tuple[str, ...],
    out: str | None,
    orientation: dict[str, Any],
    workers: int | None,
) -> int:
    """Find which photos are turned by 90, 180 or 270 degrees.

    PATH is a photo or a folder of photos. Without --out nothing is written. The exit code is 1 when a photo
    could not be read; the others are still done.

    \b
    Examples:
      edgeproof rotate ~/Pictures
      edgeproof rotate scan1.jpg scan2.png --turns 4 --json
      edgeproof rotate ~/Pictures --out upright
      edgeproof rotate evaluate upright-photos      how right is it on yours?
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.orientation import rotate as library
    from edgeproof.tasks.orientation import Orientation

    started = time.monotonic()
    target = Path(out) if out else None
    photos = library.find_for_rotation(paths, target)
    if not photos:
        raise DataError(
            f"There is no photo in {', '.join(paths)}.",
            hint="It takes JPEG, PNG, WebP, TIFF, BMP and GIF files.",
        )
    reports = []
    threads = 1 if len(photos) > 1 else None  # many photos: a core each, none left for threads within a run
    with (
        Orientation(**orientation, threads=threads) as looker,
        output.progress() as step,
    ):
        looker.open()
        step("looking at photos", 0, len(photos))
        for report in library.rotate(photos, looker, out=target, workers=workers or usable_cores()):
            reports.append(report)
            step("looking at photos", len(reports), len(photos))
    summary = library.summarize(reports, time.monotonic() - started)
    output.document({"photos": [report.as_json() for report in reports], "summary": summary})
    _show(output, reports, summary, target)
    return 1 if summary["errors"] else 0


def _show(
    output: Output, reports: Sequence[PhotoReport], summary: Mapping[str, float], out: Path | None
) -> None:
    turned = [report for report in reports if report.result and report.result.decision == "turn"]
    if turned:
        rows = [
            (str(report.path), f"{report.result.turn}°", f"{report.result.confidence:.3f}")
            for report in turned[:_SHOWN]
            if report.result
        ]
        output.table("Turned photos", ("photo", ">turn clockwise by", ">confidence"), rows)
        if len(turned) > _SHOWN:
            output.say(f"... and {len(turned) - _SHOWN} more; --json has them all.")
    for report in [report for report in reports if report.error][:_SHOWN]:
        output.say(f"{report.path}: {report.error}", style="red")
    rate = summary["photos"] / max(summary["seconds"], 1e-9)
    output.say(
        f"{summary['photos']} photos: {summary['turn']} to turn, {summary['keep']} upright, {summary['unsure']} unsure,"
        f" {summary['errors']} errors; {summary['seconds']:.1f} s ({rate:.0f} a second)."
    )
    if out:
        output.say(f"Copies are in {out}.")
    elif turned:
        output.say("Nothing was written. --out DIR writes upright copies; originals are never touched.")


@click.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--full-decode", is_flag=True, help="Decode whole JPEGs; to see that the reduced decoding loses nothing."
)
@orientation_options
@workers_option
@output_options
def evaluate(
    output: Output,
    *,
    folder: str,
    full_decode: bool,
    orientation: dict[str, Any],
    workers: int | None,
) -> int:
    """How right the network is on your photos.

    DIR holds photos that stand upright. Each is seen in all four turns, so it labels itself. `harm` is the
    share of upright photos that `edgeproof rotate` would turn, `put right` the share of turned ones that it
    would put upright, `coverage` the share of all views that it would not leave as unsure.

    \b
    Examples:
      edgeproof rotate evaluate ~/upright
      edgeproof rotate evaluate ~/upright --turns 4 --threshold 0.9 --json
      edgeproof rotate evaluate ~/upright --model orientation.edge
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.imaging.find import find_photos
    from edgeproof.library.orientation.evaluate import evaluate as run
    from edgeproof.tasks.orientation import Orientation

    photos = find_photos([folder])
    done = 0
    with (
        Orientation(**orientation, threads=1, full_decode=full_decode) as looker,
        output.progress() as step,
    ):

        def one_more() -> None:
            nonlocal done
            done += 1
            step("looking at photos", done, len(photos))

        document = run(photos, looker, workers=workers or usable_cores(), progress=one_more).as_json()
    output.document(document)
    output.table(
        f"{document['photos']} photos in four turns, threshold {document['threshold']:.3g}",
        ("", ">share"),
        [
            ("accuracy", f"{document['accuracy']:.1%}"),
            *(
                (f"  turned {turn}° counter-clockwise", f"{share:.1%}")
                for turn, share in document["per_turn"].items()
            ),
            ("harm: upright photos that would be turned", f"{document['harm']:.1%}"),
            ("put right: turned photos that would be put upright", f"{document['put_right']:.1%}"),
            ("coverage: views that are not left as unsure", f"{document['coverage']:.1%}"),
        ],
    )
    for skipped in document["skipped"]:
        output.say(
            f"{skipped['path']}: {skipped['error']['message']} {skipped['error']['hint']}", style="red"
        )
    return 1 if document["skipped"] else 0
