"""`edgeproof compare`."""

from __future__ import annotations

import click

from edgeproof.cli.bench import pair_line
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command()
@click.argument("a", metavar="A.json")
@click.argument("b", metavar="[B.json]", required=False)
@click.option(
    "--across-hosts", is_flag=True, help="Compare although they were measured on different machines."
)
@output_options
def compare(output: Output, *, a: str, b: str | None, across_hosts: bool) -> int:
    """Say whether B is faster or slower than A, or that nobody can tell.

    Both are files that `edgeproof bench --out` wrote; their variants are paired by id. With one file, each of its
    variants is compared with its first: those were measured in turns, which tells smaller differences apart. The ratio
    is B's median over A's, with a 99 % interval from resampling processes and blocks of runs. Between two files the
    interval also takes in how much the machine itself differed, by a reference load that every bench carries.

    \b
    Examples:
      edgeproof bench net.onnx --out before.json
      edgeproof compare before.json after.json
      edgeproof bench fp32.onnx int8.onnx --out both.json
      edgeproof compare both.json --json
    """
    from edgeproof.measure.pairing import compare_files
    from edgeproof.measure.runs_file import read_runs
    from edgeproof.measure.summary import pair_json

    first = read_runs(a)
    found = compare_files(first, None if b is None else read_runs(b), across_hosts=across_hosts)
    pairs = [pair_json(one.id, other.id, result) for one, other, result in found.pairs]
    output.document({"pairs": pairs, "unpaired": found.unpaired, "notes": found.notes})
    for pair in pairs:
        same = b is not None and pair["a"] == pair["b"]
        one, two = (a, f"{pair['b']} of {b}") if same else (pair["a"], pair["b"])
        output.say(pair_line(one, two, pair), style="bold" if pair["verdict"] != "can't tell" else "")
        output.say(
            f"  Mann-Whitney p {pair['p']:.2g}; Cliff's delta {pair['effect']:+.2f}"
            + (f"; the machine itself moved by {pair['machine_moved']:.2f}" if pair["machine_moved"] else ""),
            style="dim",
        )
    for note in found.notes:
        output.say(note, style="yellow")
    if found.unpaired:
        output.say(f"Without a partner: {', '.join(found.unpaired)}.", style="yellow")
    return 0
