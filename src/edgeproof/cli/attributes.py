"""`edgeproof attributes` and `edgeproof attributes evaluate`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.options import engine_options, output_options, workers_option
from edgeproof.cli.output import Output
from edgeproof.core.errors import DataError

if TYPE_CHECKING:
    from edgeproof.core.attributes import AgeEstimate, FaceAttributes, GenderEstimate
    from edgeproof.library.image_faces import ImageFaces

F = Callable[..., Any]
_SHOWN = 40


def attributes_options(command: F) -> F:
    """Add the options that choose the networks; the command gets them as `attributes`, arguments of `Attributes`."""

    @click.option(
        "--model",
        metavar="BUNDLE|FILE",
        help="A bundle, or a model file of any format that `edgeproof import` reads. Default: the network that comes "
        "with edgeproof.",
    )
    @click.option(
        "--gender-model",
        metavar="BUNDLE|FILE",
        help="A second network, for the gender, where --model tells ages only, as Levi and Hassner's pair.",
    )
    @click.option(
        "--threshold",
        type=float,
        default=0.75,
        show_default=True,
        metavar="P",
        help="The probability below which a gender makes the face unsure.",
    )
    @engine_options
    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        model: str | None,
        gender_model: str | None,
        threshold: float,
        engine: dict[str, Any],
        **others: Any,
    ) -> Any:
        chosen = {
            "model": model,
            "gender_model": gender_model,
            "threshold": threshold,
            **engine,
        }
        return command(*arguments, attributes=chosen, **others)

    return wrapped


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--detector",
    metavar="NAME|FILE",
    help="What finds faces: a name of `edgeproof models list`, a bundle or a model file.  [default: yunet]",
)
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
@click.option("--no-turn", is_flag=True, help="Don't turn a picture in which no face is found.")
@attributes_options
@workers_option
@output_options
def attributes(
    output: Output,
    *,
    sources: tuple[str, ...],
    detector: str | None,
    confidence: float | None,
    long_side: int | None,
    no_turn: bool,
    attributes: dict[str, Any],
    workers: int | None,
) -> int:
    """The age and gender of each face.

    SOURCE is a picture or a folder of pictures. An age is the expected one, with the years that it lies between with
    80 % probability. A face is unsure where its gender is below the threshold, or its age is spread over many
    decades. The exit code is 1 when a picture could not be read; the others are still done.

    For summaries and interfaces. Not for decisions about people, nor for checking ages: it is wrong too often.

    \b
    Examples:
      edgeproof attributes family.jpg
      edgeproof attributes ~/Pictures --json
      edgeproof attributes evaluate --csv faces.csv --images faces     how right is it on yours?
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.imaging.find import find_photos
    from edgeproof.library.attributes.attributes import Attributes
    from edgeproof.library.attributes.images import look_at_images

    started = time.monotonic()
    photos = find_photos(sources)
    if not photos:
        raise DataError(
            f"There is no picture in {', '.join(sources)}.",
            hint="It takes JPEG, PNG, WebP, TIFF, BMP and GIF files.",
        )
    reports = []
    finding: dict[str, Any] = {
        "detector": detector,
        "confidence": confidence,
        "long_side": long_side,
        "turn": not no_turn,
    }
    with Attributes(**attributes, **finding) as looker, output.progress() as step:
        step("looking at faces", 0, len(photos))
        for report in look_at_images(photos, looker, workers=workers or usable_cores()):
            reports.append(report)
            step("looking at faces", len(reports), len(photos))
    output.document({"images": [report.as_json() for report in reports]})
    _show(output, reports, time.monotonic() - started)
    return 1 if any(report.error for report in reports) else 0


def _show(output: Output, reports: Sequence[ImageFaces[FaceAttributes]], seconds: float) -> None:
    rows = [
        (
            str(report.path),
            str(number),
            *_age(face.age),
            *_gender(face.gender),
            "unsure" if face.unsure else "",
        )
        for report in reports
        for number, face in enumerate(report.faces, start=1)
    ]
    if rows:
        columns = ("picture", ">face", ">age", ">80 % between", ".gender", ">probability", "")
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


def _age(age: AgeEstimate | None) -> tuple[str, str]:
    if age is None:
        return "", ""
    between = "" if age.low is None or age.high is None else f"{age.low:.0f} and {age.high:.0f}"
    return f"{age.years:.0f}", between


def _gender(gender: GenderEstimate | None) -> tuple[str, str]:
    return (gender.label, f"{gender.probability:.0%}") if gender else ("", "")


@click.command()
@click.option("--csv", "table", required=True, metavar="CSV", help="The faces: file,age,gender.")
@click.option("--images", required=True, metavar="DIR", help="The folder that the names in the table are in.")
@click.option(
    "--share",
    type=float,
    metavar="S",
    help="The part of each crop's side, around its middle, that is looked at. Default: what the network needs of "
    "crops with FairFace's margin; 8/9 for the one that comes with edgeproof.",
)
@attributes_options
@workers_option
@output_options
def evaluate(
    output: Output,
    *,
    table: str,
    images: str,
    share: float | None,
    attributes: dict[str, Any],
    workers: int | None,
) -> int:
    """How right ages and genders are, on crops of faces with known answers.

    Each line of the table is a crop of one face with some margin, its age (years, or a range that the network
    knows) and its gender (Male or Female); what isn't known stays empty. All figures come by age and by gender too:
    one figure for everybody hides whom a network is wrong about.

    \b
    Examples:
      edgeproof attributes evaluate --csv fairface/val.csv --images fairface
      edgeproof attributes evaluate --csv mine.csv --images crops --share 1 --json
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.attributes.attributes import Attributes
    from edgeproof.library.attributes.evaluate import evaluate_attributes
    from edgeproof.tasks.attributes.labels import read_labels

    faces = read_labels(table)
    with Attributes(**attributes) as looker, output.progress() as step:
        found = evaluate_attributes(
            faces,
            images,
            looker,
            share=share,
            workers=workers or usable_cores(),
            progress=lambda done, total: step("looking at faces", done, total),
        )
    document = found.as_json()
    output.document(document)
    _show_figures(output, document)
    for name, error in found.failures[:_SHOWN]:
        output.say(f"{name}: {error}", style="red")
    if len(found.failures) > _SHOWN:
        output.say(f"... and {len(found.failures) - _SHOWN} more; --json has them all.")
    return 1 if found.failures else 0


def _show_figures(output: Output, document: dict[str, Any]) -> None:
    groups = document["by_group"]
    rows = [
        ("all", document),
        (f"all but the unsure ({document['sure']['share']:.0%})", document["sure"]),
        *((name, figures) for kind in ("gender", "age") for name, figures in groups[kind].items()),
    ]
    output.table(
        f"{document['n']} faces",
        ("", ">faces", ">gender", ">age", ">age within one"),
        [
            (
                name,
                str(figures["n"]),
                *(_percent(figures[key]) for key in ("gender_accuracy", "age_exact", "age_within_one")),
            )
            for name, figures in rows
        ],
    )


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"
