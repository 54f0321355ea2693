"""`edgeproof import`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.verify.importing import ImportResult


@click.command("import")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--out", metavar="FILE", help="The ONNX file to write. Default: SOURCE's name with .onnx, here."
)
@click.option(
    "--data",
    metavar="DIR",
    help="Photos to compare the original and its copy on, up to 8. Default: seeded noise.",
)
@output_options
def import_(output: Output, *, source: str, out: str | None, data: str | None) -> int:
    """Turn a network of another format into one ONNX file, and check it against the original.

    SOURCE is read without running anything in it. The original runs in the runtime of its own format, the copy in
    ONNX Runtime, on the same inputs; the verdict is ok, differs, or not checked where the original can't be run
    here. A copy that differs is written as NAME.differs.onnx, with the input that shows it in NAME.differs.npz,
    and the exit code is 1.

    \b
    Examples:
      edgeproof import old.onnx --out new.onnx
      edgeproof import ultraface.caffemodel --data ~/Pictures
    """
    from edgeproof.verify.importing import import_network

    result = import_network(source, out, data=data)
    output.document(result.as_json())
    _show(output, source, result)
    return 1 if result.check.verdict == "differs" else 0


def _show(output: Output, source: str, result: ImportResult) -> None:
    check = result.check
    styles = {"ok": "bold green", "differs": "bold red", "not checked": "bold yellow"}
    output.say(f"{source} -> {result.output}: {check.verdict}", style=styles[check.verdict])
    for note in result.notes:
        output.say(note)
    if check.differences:
        output.table(
            f"{check.inputs} inputs; allowed: {check.tolerance:g} of an output's largest value",
            ["output", ">largest difference", ">of the largest value", ">cosine"],
            [
                [found.output, f"{found.max_abs:.3g}", f"{found.max_rel:.2g}", f"{found.cosine:.6f}"]
                for found in check.differences
            ],
        )
    if check.reason:
        output.say(check.reason)
    if result.kept:
        output.say(f"The input that shows it: {result.kept}")
