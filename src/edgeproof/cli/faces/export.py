"""`edgeproof faces export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("name")
@click.option(
    "--out", required=True, metavar="DIR|ZIP", help="A new folder, or a new file that ends in .zip."
)
@gallery_options
@output_options
def export(output: Output, *, name: str, out: str, open_gallery: Callable[..., Any]) -> int:
    """Everything that a gallery holds about one person, in clear, for that person.

    person.json has the name, the dates, the embeddings and the log; kept crops lie beside it.

    \b
    Examples:
      edgeproof faces export "Ada Lovelace" --out ada.zip
    """
    from edgeproof.library.gallery.export import export_person

    with open_gallery() as gallery:
        person = export_person(gallery, name, Path(out))
    output.document(
        {"output": out, "person": person.person, "templates": person.templates, "crops": person.crops}
    )
    output.say(
        f"Wrote {person.templates} templates and {person.crops} crops of {person.name} to {out}, in clear."
    )
    return 0
