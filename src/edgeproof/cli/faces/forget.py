"""`edgeproof faces forget`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError

if TYPE_CHECKING:
    from edgeproof.gallery.gallery import Gallery


@click.command()
@click.argument("name", required=False)
@click.option("--person", type=int, metavar="N", help="In place of NAME: a number of `faces people`.")
@click.option(
    "--template", type=int, metavar="N", help="In place of NAME: one template alone, such as a damaged one."
)
@click.option("--yes", is_flag=True, help="Don't ask.")
@gallery_options
@output_options
def forget(
    output: Output,
    *,
    name: str | None,
    person: int | None,
    template: int | None,
    yes: bool,
    open_gallery: Callable[..., Any],
) -> int:
    """Take a person out of a gallery for good.

    The person's key is overwritten and all rows are deleted. What backups of the gallery hold stays readable to whoever
    has the master key: delete those too. The audit log keeps the person's number, and no name.

    \b
    Examples:
      edgeproof faces forget "Ada Lovelace"
      edgeproof faces forget Ada --yes --json
      edgeproof faces forget --template 17        a row that was damaged
    """
    if sum(value is not None for value in (name, person, template)) != 1:
        raise UsageError("Whom to forget?", hint="Give one of NAME, --person N and --template N.")
    with open_gallery() as gallery:
        number = gallery.find(name).person if name is not None else person
        what = f"{name} (number {number})" if name else f"number {number}"
        if template is not None:
            what = f"template {template}"
        if not yes:
            click.confirm(f"Forget {what} for good?", abort=True, err=True)
        clean = _forget(gallery, number, template)
        place = gallery.place
    output.document({"gallery": place, "person": number, "template": template, "scrubbed": clean})
    output.say(f"Forgot {what}.")
    if not clean:
        output.say(
            f"Another program is reading {place}: old pages of its write-ahead log go when that one closes it.",
            style="yellow",
        )
    return 0


def _forget(gallery: Gallery, number: int | None, template: int | None) -> bool:
    if template is not None:
        return gallery.remove_template(template)
    assert number is not None
    return gallery.forget_person(number)
