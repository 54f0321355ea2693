"""`edgeproof faces people`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgeproof.cli.faces.gallery_options import gallery_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@gallery_options
@output_options
def people(output: Output, *, open_gallery: Callable[..., Any]) -> int:
    """Who is in a gallery.

    \b
    Examples:
      edgeproof faces people
      edgeproof faces people --gallery door.db --json
    """
    from edgeproof.gallery.retention import when

    with open_gallery() as gallery:
        found, place = gallery.people(), gallery.place
    output.document(
        {
            "gallery": place,
            "people": [
                {
                    "number": person.person,
                    "name": person.name,
                    "templates": person.templates,
                    "crops": person.crops,
                    "enrolled": when(person.created),
                    "expires": when(person.expires),
                }
                for person in found
            ],
        }
    )
    if found:
        output.table(
            f"{len(found)} people in {place}",
            ("name", ">number", ">templates", ">kept crops", ".enrolled", ".forgotten on"),
            [
                (
                    person.name,
                    str(person.person),
                    str(person.templates),
                    str(person.crops),
                    (when(person.created) or "")[:10],
                    (when(person.expires) or "")[:10],
                )
                for person in found
            ],
        )
    else:
        output.say(f"Nobody is in {place}.")
    return 0
