"""`edgeproof fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

if TYPE_CHECKING:
    from edgeproof.fit.result import ClauseVerdict, FitResult, Row

_SHOWN = 10
_STYLES = {"ok": "", "refused": "dim", "failed": "red", "pruned": "dim"}


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    required=True,
    metavar="DIR",
    help="Photos of the kind that it will see. For orientation: photos that stand upright.",
)
@click.option(
    "--labels",
    "--boxes",
    "--pairs",
    "--csv",
    "labels",
    metavar="PATH",
    help="The truth of these photos, as the commands that evaluate take it. detect: a folder of YOLO's text, or COCO's "
    "JSON. face-detection: JSON of boxes. face-recognition: CSV of pairs. attributes: CSV of crops. Without it, a "
    "candidate has to answer as the original does.",
)
@click.option(
    "--budget",
    default="",
    metavar="BUDGET",
    help='Limits like "p99<35ms, rss<200MB, size<4MB, cold<2s, fps>30, drop<1%", or a .toml file. Accuracy is '
    "always gated: without a limit of your own, drop<2%.",
)
@click.option(
    "--task",
    metavar="TASK",
    help="What a model file is for: orientation, detect, face-detection, face-recognition or attributes. Default: what "
    "the catalogue says of it, else orientation.",
)
@click.option(
    "--detector",
    metavar="NAME|FILE",
    help="What finds the faces for face-recognition and attributes.  [default: yunet]",
)
@click.option(
    "--photos",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use at most so many. Default: 400, with pairs 2,000.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    multiple=True,
    metavar="N",
    help="Threads to try, beside 1; repeat it. Default: all cores.",
)
@click.option("--out", metavar="BUNDLE", help="Where the bundle goes. Default: NAME.edge here.")
@click.option(
    "--report", metavar="FILE", help="Where the page goes. Default: NAME.report.html beside the bundle."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every choice by chance.")
@output_options
def fit(  # noqa: PLR0913 - one for each option
    output: Output,
    *,
    model: str,
    data: str,
    budget: str,
    labels: str | None,
    task: str | None,
    detector: str | None,
    photos: int | None,
    threads: tuple[int, ...],
    out: str | None,
    report: str | None,
    seed: int,
) -> int:
    """Make a network meet a budget, prove it, and seal it in a bundle.

    MODEL is a task's name for its own network (orientation, attributes), a name of `edgeproof models list`, or a file
    that `edgeproof import` reads. It is tried in several precisions and numbers of threads, each built and measured in
    processes of its own, interleaved. What is slower than the original, or may have lost accuracy on your photos, is
    shown and refused. The exit code is 1 when nothing meets the budget.

    \b
    Examples:
      edgeproof fit orientation --data ~/Pictures
      edgeproof fit orientation --data ~/Pictures --budget "p99<20ms, size<4MB, drop<1%"
      edgeproof fit yolox-nano --data coco/images --labels coco/labels
      edgeproof fit mobilefacenet --data lfw/images --pairs lfw/pairs.csv --budget "drop<0.5%"
      edgeproof fit attributes --data crops --csv faces.csv
      edgeproof fit my.onnx --task detect --data ~/Pictures --out my.edge --json
    """
    from edgeproof.fit.run import fit as run

    with output.progress() as step:
        result = run(
            model,
            data=data,
            budget=budget,
            task=task,
            labels=labels,
            detector=detector,
            photos=photos,
            threads=threads or None,
            out=out,
            report=report,
            seed=seed,
            progress=step,
        )
    output.document(result.as_json())
    show(output, result)
    return 0 if result.feasible else 1


def show(output: Output, result: FitResult) -> None:
    """The table, the verdicts and where everything is."""
    skipped = result.data.skipped
    for path, error in skipped[:_SHOWN]:
        output.say(f"{path}: {error}", style="red")
    if len(skipped) > _SHOWN:
        output.say(f"... and {len(skipped) - _SHOWN} more that were skipped; --json has them all.")
    if result.data.left_out:
        output.say(f"{result.data.left_out} photos were left out: as tensors the others take 2 GB.")
    output.table(
        f"{result.target}: {len(result.rows)} candidates, {result.data.photos} photos as evidence,"
        f" {result.data.calibration_photos} to calibrate",
        (".candidate", ">p50 ms", ">p99 ms", ">time", ">MB", ">RAM MB", ">drop", "status"),
        [_cells(row) for row in result.rows],
        ["bold green" if row.id == result.chosen else _STYLES[row.status] for row in result.rows],
    )
    reasons: dict[str, list[str]] = {}
    for row in result.rows:
        if row.reason:
            reasons.setdefault(f"{row.status}: {row.reason}", []).append(row.id)
    for reason, ids in reasons.items():
        output.say(f"{', '.join(ids)} {reason}", style="dim")
    output.table(
        "Budget",
        (".clause", ".candidate", ">value", ">95 % interval", "verdict"),
        [_verdict_cells(verdict) for verdict in result.verdicts],
    )
    if result.chosen:
        row = result.row(result.chosen)
        faster = f", {1 / row.ratio[0]:.2f}x as fast as the original in one thread" if row.ratio else ""
        smaller = f", {(row.size_mb or 0) / (result.rows[0].size_mb or 1):.0%} of its size"
        output.say(f"Chosen: {result.chosen}{faster}{smaller}.", style="bold")
        output.say(f"Bundle: {result.bundle}")
    else:
        output.say("Nothing meets the budget. The verdicts are those of what came nearest.", style="bold red")
        output.say("What now: loosen what fails, or give more photos where evidence is missing.")
    output.say(f"Report: {result.report} ({result.seconds:.0f} s in all)")


def _number(value: float | None, digits: int = 2) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _cells(row: Row) -> tuple[str, ...]:
    accuracy = row.accuracy
    drop = "" if not accuracy else f"{100 * accuracy.drop.drop:+.1f} %" if accuracy.drop else "same"
    return (
        row.id,
        _number(row.latency(0.5)),
        _number(row.latency(0.99)),
        f"{row.ratio[0]:.2f}x" if row.ratio else "",
        _number(row.size_mb, 1),
        _number(row.run.peak_mb if row.run else None, 0),
        drop,
        row.status,
    )


def _verdict_cells(verdict: ClauseVerdict) -> tuple[str, ...]:
    share = 1.0 if verdict.unit else 100.0
    unit = verdict.unit or "%"
    ci = f"{verdict.ci[0] * share:.4g} to {verdict.ci[1] * share:.4g}" if verdict.ci else ""
    needed = f" (needs {verdict.needed})" if verdict.needed and verdict.verdict != "pass" else ""
    value = "not measured" if verdict.value is None else f"{verdict.value * share:.4g} {unit}"
    return verdict.clause, verdict.candidate, value, ci, verdict.verdict + needed
