"""How an import or an export went, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.verify.converted import Converted

_STYLES = {"ok": "bold green", "differs": "bold red", "not checked": "bold yellow"}


def show_conversion(output: Output, source: str, result: Converted) -> None:
    """The verdict, the notes, a table with a row for each output, and what to look at where it differs."""
    check = result.check
    output.say(f"{source} -> {result.output}: {check.verdict}", style=_STYLES[check.verdict])
    for note in result.notes:
        output.say(note)
    if check.differences:
        output.table(
            f"{check.inputs} inputs; allowed: {check.tolerance:g} of the largest value or known range",
            [".output", ">difference", ">of the largest", ">cosine", ">same first choice"],
            [
                [
                    found.output,
                    f"{found.max_abs:.3g}",
                    f"{found.max_rel:.2g}",
                    f"{found.cosine:.6f}",
                    f"{100 * check.top1[found.output]:.1f} %" if found.output in check.top1 else "",
                ]
                for found in check.differences
            ],
        )
    if check.reason:
        output.say(check.reason)
    if result.kept:
        output.say(f"The input that shows it: {result.kept}")
