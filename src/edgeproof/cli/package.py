"""`edgeproof package`."""

from __future__ import annotations

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@click.option(
    "--out", required=True, metavar="DIR", help="The folder to write; it must not be there yet, or be empty."
)
@click.option(
    "--mem-budget",
    default="200MB",
    show_default=True,
    metavar="SIZE",
    help="What the service may take there.",
)
@output_options
def package(output: Output, *, bundles: tuple[str, ...], out: str, mem_budget: str) -> int:
    """Write a folder with all that a device needs to serve these bundles.

    It holds edgeproof itself, the libraries' exact versions, the bundles, a systemd unit and a Dockerfile. The size
    is that of the same libraries as they are installed here.

    \b
    Examples:
      edgeproof package plants.edge --out device
      edgeproof package plants.edge orientation.edge --out device --mem-budget 160MB
    """
    from edgeproof.serve.package import package as run

    made = run(bundles, out, memory=mem_budget)
    output.document(
        {
            "output": str(made.path),
            "bundles": list(made.bundles),
            "requirements": dict(made.requirements),
            "installed_mb": round(made.installed_bytes / 1e6, 1),
            "bundles_mb": round(made.bundle_bytes / 1e6, 1),
        }
    )
    output.plain(
        f"{made.path}: {', '.join(made.bundles)} ({made.bundle_bytes / 1e6:.1f} MB); installed, edgeproof and its"
        f" {len(made.requirements)} libraries take {made.installed_bytes / 1e6:.0f} MB."
        " Copy it to the device and run install.sh there."
    )
    return 0
