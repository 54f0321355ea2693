"""`edgeproof check`."""

from __future__ import annotations

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@output_options
def check(output: Output, *, bundle: str) -> int:
    """Check on this machine that a bundle is what it was where it was made.

    Every digest is checked, the golden inputs are run and compared with the golden outputs, and the speed is
    measured again. The verdict is ok, differs (outputs), slower (than its evidence) or refused (tampered,
    damaged, made by a newer edgeproof); the exit code is 0 for ok and 1 otherwise.

    \b
    Examples:
      edgeproof check orientation.edge
      edgeproof check orientation.edge --json
    """
    from edgeproof.fit.check import check as run

    with output.progress() as step:
        result = run(bundle, progress=lambda done, total: step("measuring", done, total))
    output.document(result.as_json())
    output.say(f"{bundle}: {result.verdict}", style="bold green" if result.verdict == "ok" else "bold red")
    if result.max_rel is not None:
        output.say(
            f"Largest difference from the golden outputs: {result.max_abs:.3g} ({result.max_rel:.2g} of the largest)."
        )
    if result.latency_ms["p50"] is not None:
        evidence = f"; {result.evidence_ms:.2f} ms in its evidence" if result.evidence_ms else ""
        output.say(f"Median latency: {result.latency_ms['p50']:.2f} ms{evidence}.")
    for reason in result.reasons:
        output.say(reason)
    return 0 if result.verdict == "ok" else 1
