"""`edgeproof faces report`, `settings`, `migrate` and `rekey`: the upkeep of a gallery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.gallery_options import ask_once, gallery_options
from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError

if TYPE_CHECKING:
    from edgeproof.gallery.error_rates import Rates
    from edgeproof.library.gallery.report import GalleryReport


@click.command()
@click.option(
    "--far",
    type=float,
    default=1e-4,
    show_default=True,
    metavar="RATE",
    help="The share of pairs of different people that may be taken for one.",
)
@click.option("--apply", is_flag=True, help="Make the proposed threshold the gallery's own.")
@gallery_options
@output_options
def report(output: Output, *, far: float, apply: bool, open_gallery: Callable[..., Any]) -> int:
    """A gallery's own error rates, and the threshold for a wished one.

    All templates are compared: those of different people give the false-accept rate (FAR) of each threshold, those of
    one person the false-reject rate (FRR). "per search" is the share of strangers, if they look like the people here,
    who would be taken for somebody: it grows with the gallery. The exit code is 1 where there are too few pairs to
    propose a threshold.

    \b
    Examples:
      edgeproof faces report
      edgeproof faces report --far 1e-3 --apply
    """
    from edgeproof.library.gallery.report import report as made_by

    with open_gallery() as gallery:
        made = made_by(gallery, far)
        if apply and made.proposed:
            gallery.settle(threshold=made.proposed.threshold)
        place = gallery.place
    output.document({"gallery": place, "applied": bool(apply and made.proposed), **made.as_json()})
    _show_report(output, made, place, applied=apply)
    return 0 if made.proposed else 1


def _show_report(output: Output, made: GalleryReport, place: str, *, applied: bool) -> None:
    rates = made.rates
    sample = f" (a sample of {rates.total:,})" if rates.total > rates.templates else ""
    output.table(
        f"{place}: {rates.people:,} people, {rates.templates:,} templates{sample}, {rates.impostor_pairs:,} pairs of"
        f" different people, {rates.genuine_pairs:,} of one person",
        ("", ">threshold", ">FAR", ">FRR", ">per search"),
        [
            *(_rates_row(f"wished FAR {far:g}", rates) for far, rates in made.rates.curve()),
            _rates_row("in use", made.in_use),
        ],
    )
    for first, second, similarity in made.alike:
        output.say(
            f"{first} and {second} are as alike as one person ({similarity:.2f}): enrolled twice?",
            style="yellow",
        )
    if made.proposed is None:
        output.say(f"No threshold can be proposed. {made.reason}", style="yellow")
        return
    output.say(f"For a false-accept rate of {made.far:g} take --threshold {made.proposed.threshold:.4f}.")
    output.say("It is the gallery's own from now on." if applied else "--apply makes it the gallery's own.")


def _rates_row(label: str, rates: Rates) -> tuple[str, ...]:
    frr = "unknown" if rates.frr is None else f"{rates.frr:.2%}"
    return label, f"{rates.threshold:.4f}", f"{rates.far:.2g}", frr, f"{rates.per_search:.2%}"


@click.command()
@click.option(
    "--retain",
    metavar="TIME",
    help="How long people enrolled from now on are kept, such as 365d; or forever.",
)
@click.option("--threshold", type=float, metavar="S", help="Least similarity for a name, -1 to 1.")
@click.option("--margin", type=float, metavar="S", help="How far the second person must lie behind.")
@click.option(
    "--log",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    metavar="N",
    help="Rows of the log.",
)
@gallery_options
@output_options
def settings(
    output: Output,
    *,
    retain: str | None,
    threshold: float | None,
    margin: float | None,
    log: int,
    open_gallery: Callable[..., Any],
) -> int:
    """A gallery's settings and the end of its log; with options, change them.

    \b
    Examples:
      edgeproof faces settings
      edgeproof faces settings --retain 365d --threshold 0.45
    """
    from edgeproof.gallery.retention import in_words, parse_retention, when

    given: dict[str, Any] = {"threshold": threshold, "margin": margin}
    values = {name: value for name, value in given.items() if value is not None}
    if retain is not None:
        values["retain_s"] = parse_retention(retain)
    with open_gallery() as gallery:
        if values:
            gallery.settle(**values)
        head, rows, place = gallery.head, gallery.audit()[-log:] if log else [], gallery.place
    output.document(
        {
            "gallery": place,
            "model_sha256": head.model,
            "dimensions": head.dimensions,
            "retain_s": head.retain_s,
            "threshold": head.threshold,
            "margin": head.margin,
            "created": when(head.created),
            "log": [
                {
                    "at": when(row.at),
                    "action": row.action,
                    "person": row.person,
                    "who": row.who,
                    "count": row.count,
                }
                for row in rows
            ],
        }
    )
    output.table(
        place,
        ("setting", "value"),
        [
            ("recogniser's SHA-256", head.model),
            ("people are kept", in_words(head.retain_s)),
            ("threshold", "the model's" if head.threshold is None else f"{head.threshold:.4f}"),
            ("margin", "the usual" if head.margin is None else f"{head.margin:.4f}"),
        ],
    )
    output.table(
        "The end of its log",
        (".at", ".action", ">person", ">count", "who"),
        [
            (
                (when(row.at) or "")[:19],
                row.action,
                "" if row.person is None else str(row.person),
                "" if row.count is None else str(row.count),
                row.who,
            )
            for row in rows
        ],
    )
    return 0


@click.command()
@click.option("--drop", is_flag=True, help="Delete templates that have no kept crop, instead of refusing.")
@gallery_options
@faces_options
@output_options
def migrate(output: Output, *, drop: bool, open_gallery: Callable[..., Any], faces: dict[str, Any]) -> int:
    """Move a gallery to another recogniser, by embedding the kept crops again.

    Everything or nothing is moved. People whose pictures were enrolled without --keep-crops have to be enrolled again.

    \b
    Examples:
      edgeproof faces migrate --recognizer curricularface.onnx
    """
    from edgeproof.library.faces.faces import Faces
    from edgeproof.library.gallery.migrate import migrate_gallery

    with Faces(**faces) as looker, open_gallery() as gallery:
        looker.recognizer.open()
        done, place = migrate_gallery(gallery, looker.recognizer, drop=drop), gallery.place
        digest = looker.recognizer.digest
    output.document(
        {"gallery": place, "model_sha256": digest, "templates": done.templates, "dropped": done.dropped}
    )
    output.say(f"{done.templates} templates of {place} were embedded again, {done.dropped} dropped.")
    return 0


@click.command()
@click.option("--new-key-file", metavar="FILE", help="Where the new key is to lie; a new file.")
@click.option("--new-passphrase", is_flag=True, help="Ask for a passphrase that gives the new key.")
@gallery_options
@output_options
def rekey(
    output: Output, *, new_key_file: str | None, new_passphrase: bool, open_gallery: Callable[..., Any]
) -> int:
    """Give a gallery another master key. The old one opens nothing any more, but old backups.

    \b
    Examples:
      edgeproof faces rekey --new-key-file /media/stick/gallery.key
      edgeproof faces rekey --new-passphrase
    """
    from edgeproof.gallery.master_key import KeySource
    from edgeproof.gallery.master_key import new_key_file as make_key_file
    from edgeproof.gallery.opening import folder_of
    from edgeproof.gallery.upkeep import rekey

    if bool(new_key_file) == new_passphrase:
        raise UsageError("Which key?", hint="Give --new-key-file FILE or --new-passphrase.")
    with open_gallery() as gallery:
        if new_key_file:
            master, how = make_key_file(Path(new_key_file), folder_of(gallery.store)), None
        else:
            master, how = KeySource(passphrase=ask_once("New passphrase")).fresh(None)
        rekey(gallery, master, how)
        place = gallery.place
    output.document({"gallery": place, "key_file": new_key_file})
    output.say(
        f"{place} has a new key. Keep it apart from the gallery, and keep a copy: nothing opens it without."
    )
    return 0
