"""`edgeproof package`."""

from __future__ import annotations

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("bundles", nargs=-1, metavar="[BUNDLE...]")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Serve this task too, with the network that it has by default: attributes, orientation, faces, embeddings; may"
    " be given several times.",
)
@click.option(
    "--out", required=True, metavar="DIR", help="The folder to write; it must not be there yet, or be empty."
)
@click.option(
    "--mem-budget",
    default="180MB",
    show_default=True,
    metavar="SIZE",
    help="What the service may take there.",
)
@output_options
def package(
    output: Output, *, bundles: tuple[str, ...], tasks: tuple[str, ...], out: str, mem_budget: str
) -> int:
    """Write a folder with all that a device needs to serve these bundles or tasks.

    It holds edgeproof itself, the libraries' exact versions with the digest of each wheel for x86_64 and aarch64, the
    bundles, the detector of faces where a task needs one, the licences, a systemd unit and a Dockerfile. The size
    is that of the same libraries as they are installed here.

    \b
    Examples:
      edgeproof package --task attributes --out device
      edgeproof package plants.edge --out device
      edgeproof package plants.edge orientation.edge --out device --mem-budget 160MB
    """
    from edgeproof.serve.package import package as run

    made = run(bundles, out, tasks=tasks, memory=mem_budget)
    output.document(
        {
            "output": str(made.path),
            "bundles": list(made.bundles),
            "tasks": list(made.tasks),
            "models": list(made.models),
            "requirements": dict(made.requirements),
            "installed_mb": round(made.installed_bytes / 1e6, 1),
            "bundles_mb": round(made.bundle_bytes / 1e6, 1),
        }
    )
    networks = ", ".join((*made.bundles, *made.models)) or "the network that comes with it"
    output.plain(
        f"{made.path} serves {', '.join(made.tasks)} with {networks}"
        f" ({made.bundle_bytes / 1e6:.1f} MB); installed, edgeproof and its {len(made.requirements)} libraries take"
        f" {made.installed_bytes / 1e6:.0f} MB. Copy it to the device and run install.sh there."
    )
    return 0
