"""`edgeproof bench`."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.interrupt import drain_on_interrupt
from edgeproof.cli.options import engine_setting, output_options
from edgeproof.cli.output import Output, complain
from edgeproof.core.errors import EdgeproofError, NotFoundError, UsageError

if TYPE_CHECKING:
    from edgeproof.devices.meters import Meter

# Programs of meters write their files every few seconds.
_METER_LAG_S = 10.0
_STYLES = {"valid": "", "suspect": "yellow", "invalid": "red"}


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="What runs a model file; repeat it to compare."
)
@click.option(
    "--engine-option",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the engines, such as precision=bf16. May be given several times.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    multiple=True,
    metavar="N",
    help="Threads inside one run; repeat it to compare. Default: 1, or the bundle's own.",
)
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(1, 4096),
    multiple=True,
    metavar="N",
    help="Pictures in one run of a network; repeat it to compare. Default: the network's own, or 1.",
)
@click.option("--model", metavar="NAME|FILE", help="The network of a task; for faces, the detector.")
@click.option(
    "--input",
    "source",
    metavar="IMG|DIR",
    help="A picture, or a folder of which the first 8 are taken in turn. Default: made up, and said so.",
)
@click.option(
    "--input-shape",
    default="",
    metavar="SHAPE",
    help='The sizes of a network that leaves them open, such as "1x3x640x640", or "NAME=SHAPE,..." for several inputs.',
)
@click.option(
    "--rate",
    type=float,
    metavar="HZ",
    help="Runs come at this rate and are timed from the moment they are due. Default: one after another.",
)
@click.option(
    "--duration",
    type=float,
    metavar="S",
    help="Seconds of timed runs for each variant. Default: 8, or as long as --runs takes.",
)
@click.option("--runs", type=click.IntRange(1, 10_000_000), metavar="N", help="Timed runs for each variant.")
@click.option(
    "--soak",
    type=float,
    metavar="MINUTES",
    help="Run each variant so long without a pause instead, and say whether memory leaks, latency drifts or the device "
    "throttles.",
)
@click.option(
    "--energy-csv",
    metavar="FILE",
    help="What a meter at the supply records while this runs: time and power. A pattern of load is played first, for "
    "17 s, which is looked for in it. Default: the machine's own meter.",
)
@click.option(
    "--watts",
    type=float,
    metavar="W",
    help="Estimate the energy from this power, where there is no meter; it is called an estimate everywhere.",
)
@click.option("--out", metavar="RUNS.json", help="Keep the raw values here, for `edgeproof compare`.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every choice by chance.")
@output_options
def bench(  # noqa: PLR0913 - one for each option
    output: Output,
    *,
    targets: tuple[str, ...],
    engines: tuple[str, ...],
    settings: tuple[str, ...],
    threads: tuple[int, ...],
    batches: tuple[int, ...],
    model: str | None,
    source: str | None,
    input_shape: str,
    rate: float | None,
    duration: float | None,
    runs: int | None,
    soak: float | None,
    energy_csv: str | None,
    watts: float | None,
    out: str | None,
    seed: int,
) -> int:
    """Measure speed, memory and energy, and say what of it can be trusted.

    TARGET is a bundle, a model file of any format, a name of `edgeproof models list`, or a built-in task: orientation,
    faces, attributes, or detect with --model. A task is measured from the file to the result, in its stages. Every
    combination of engines, threads and batch sizes is a variant, measured in eight fresh processes of its own, in turns
    with the others. A percentile that the number of runs doesn't allow is n/a.

    Of several variants each is compared with the first. Ctrl-C ends early and shows what there is. The exit code is 1
    when a variant could not be measured; the others still are.

    \b
    Examples:
      edgeproof bench net.onnx
      edgeproof bench net.onnx --engine onnxruntime --engine openvino --threads 1 --threads 2
      edgeproof bench fp32.onnx int8.onnx --out runs.json
      edgeproof bench orientation --input ~/Pictures
      edgeproof bench detect --model yolox-nano --input street.jpg --rate 10 --duration 30
      edgeproof bench yunet --input-shape 1x3x480x640 --json
      edgeproof bench net.onnx --soak 30              does it leak, drift or throttle?
    """
    given: dict[str, Any] = {
        "engines": engines,
        "threads": threads,
        "batches": batches,
        "options": dict(map(engine_setting, settings)),
        "model": model,
        "input": source,
        "input_shape": input_shape,
    }
    if soak is not None:
        if any(value is not None for value in (rate, duration, runs, out, energy_csv, watts)):
            raise UsageError(
                "A soak has no --rate, --duration, --runs, --out, --energy-csv or --watts.",
                hint="Its raw values are in the --json document.",
            )
        return _soak(output, targets, soak, seed, given)
    from edgeproof.library.bench.bench import bench as measure
    from edgeproof.measure.bench import Plan
    from edgeproof.measure.summary import document

    stop = threading.Event()
    with output.progress() as step, drain_on_interrupt(stop) as interrupted:
        found = measure(
            targets,
            **given,
            plan=Plan(duration, runs, rate, seed),
            out=out,
            energy=_meter(energy_csv, watts),
            progress=lambda share: step("measuring", round(1000 * share), 1000),
            stop=stop.is_set,
        )
    told = document(found)
    output.document(told)
    if any(row["n"] for row in told["variants"]):
        _show(output, told)
    if out:
        output.say(f"Raw values: {out}. Compare: edgeproof compare {out} OTHER.json")
    if interrupted.signal:
        complain(EdgeproofError("Interrupted.", hint="This is what was measured until then."))
    failed = [row for row in told["variants"] if row["error"]]
    for row in failed:
        complain(EdgeproofError(f"{row['id']}: {row['error']['message']}", hint=row["error"]["hint"]))
    return interrupted.exit_code or (1 if failed else 0)


def _meter(energy_csv: str | None, watts: float | None) -> Meter | None:
    """What was named to tell the energy; None for the machine's own meter."""
    if energy_csv is not None and watts is not None:
        raise UsageError("--energy-csv measures and --watts estimates.", hint="Give one of them.")
    if watts is not None:
        from edgeproof.devices.meters import Estimate

        return Estimate(watts)
    if energy_csv is None:
        return None
    from edgeproof.devices.meters.external import External

    meter = External(Path(energy_csv), lag_s=_METER_LAG_S)
    if missing := meter.missing():
        raise NotFoundError(missing, hint="Its first line names the columns: time (s),power (W).")
    return meter


def _soak(output: Output, targets: tuple[str, ...], minutes: float, seed: int, given: dict[str, Any]) -> int:
    from edgeproof.cli.soak import show_soak
    from edgeproof.library.bench.soak import soak_targets

    stop = threading.Event()
    with output.progress() as step, drain_on_interrupt(stop) as interrupted:
        told = soak_targets(
            targets,
            minutes=minutes,
            seed=seed,
            progress=lambda id_, share: step(id_, round(1000 * share), 1000),
            stop=stop.is_set,
            **given,
        )
    output.document(told)
    show_soak(output, told)
    if interrupted.signal:
        complain(EdgeproofError("Interrupted.", hint="This is what was seen until then."))
    failed = [row for row in told["variants"] if row["error"]]
    for row in failed:
        complain(EdgeproofError(f"{row['id']}: {row['error']['message']}", hint=row["error"]["hint"]))
    return interrupted.exit_code or (1 if failed else 0)


def _show(output: Output, told: dict[str, Any]) -> None:
    rows = told["variants"]
    paced = any(row["arrivals"] for row in rows)
    lines, styles = [], []
    for row in rows:
        lines.append(_line(row))
        styles.append(_STYLES[row["verdict"]])
        if row["network_latency_ms"]:
            lines.append(_network_line(row))
            styles.append("dim")
    output.table(
        "From the moment due to the result" if paced else "One run after another",
        ("variant", ">p50 ms", ">p90", ">p95", ">p99", ">p99.9", ">/s", ">runs", ".verdict"),
        lines,
        styles,
    )
    output.table(
        "Start, peak memory by phase, energy of a run",
        ("variant", ">cold s", ">load s", ">1st ms", ">load MB", ">1st", ">steady", ">PSS", ">mJ"),
        [_costs(row) for row in rows],
    )
    staged = [row for row in rows if row["stages_ms"]]
    if staged:
        output.table(
            "Stages, median ms",
            ("variant", ">decode", ">prepare", ">run", ">decode result"),
            [(row["id"], *(_number(value) for value in row["stages_ms"].values())) for row in staged],
        )
    _say_arrivals(output, rows)
    _say_pairs(output, told)
    _say_reasons(output, told)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["id"],
        *(_number(value) for value in row["latency_ms"].values()),
        _number(row["throughput"]),
        f"{row['n']:,}",
        row["verdict"],
    )


def _network_line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        "  networks alone",
        *(_number(value) for value in row["network_latency_ms"].values()),
        "",
        "",
        "",
    )


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    memory = row["memory_mb"]
    return (
        row["id"],
        _number(row["cold_s"]),
        _number(row["load_s"]),
        _number(row["first_ms"]),
        *(_number(memory[name], 1) for name in ("load", "first", "steady", "pss")),
        _number(row["energy_mj"]),
    )


def _say_arrivals(output: Output, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if counts := row["arrivals"]:
            output.say(
                f"{row['id']}: {counts['arrived']} arrivals, {counts['dropped']} dropped (8 others waited), "
                f"{counts['late']} late (after the next was due)."
            )


def _say_pairs(output: Output, told: dict[str, Any]) -> None:
    for pair in told["pairs"]:
        output.say(pair_line(pair["a"], pair["b"], pair), style="bold")


def pair_line(a: str, b: str, pair: dict[str, Any]) -> str:
    """A comparison in a sentence."""
    low, high = pair["ci"]
    reach = (
        f"99 % interval {low:.3g} to {high:.3g}"
        if math.isfinite(high)
        else "too few processes for an interval"
    )
    figures = f"it takes {pair['ratio']:.3g} times as long ({reach})"
    if pair["verdict"] == "can't tell":
        return f"{b} against {a}: can't tell; {figures}."
    return f"{b} is {pair['verdict']} than {a}: {figures}."


def _say_reasons(output: Output, told: dict[str, Any]) -> None:
    rows = [row for row in told["variants"] if row["n"]]
    for row in rows:
        if row["reasons"]:
            output.say(
                f"{row['id']} is {row['verdict']}: {'; '.join(row['reasons'])}.",
                style=_STYLES[row["verdict"]],
            )
    for said, ids in _grouped(rows).items():
        output.say(
            f"{', '.join(ids) if len(ids) < len(rows) else 'All'}: {said}." if len(rows) > 1 else f"{said}.",
            "dim",
        )


def _grouped(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What is to be said of some variants, and their ids."""
    found: dict[str, list[str]] = {}
    for row in rows:
        needs = [f"{_percent(name)} n/a ({why})" for name, why in row["not_available"].items()]
        said = [*row["notes"], ", ".join(needs)]
        if reason := row["energy"]["reason"]:
            said.append(f"energy not measured: {reason}")
        else:
            said.append(_energy_said(row["energy"]))
        for text in filter(None, said):
            found.setdefault(text, []).append(row["id"])
    return found


def _energy_said(energy: dict[str, Any]) -> str:
    above = energy["above_idle_mj"]
    rest = (
        ""
        if above is None
        else f", {_number(above)} mJ of it above the {_number(energy['idle_watts'])} W at rest"
    )
    pace = "" if energy["interval_s"] is None else f", a value every {energy['interval_s']:g} s"
    return f"energy from {energy['meter']} ({energy['scope']}{pace}){rest}"


def _percent(name: str) -> str:
    return "p99.9" if name == "p999" else name


def _number(value: float | None, digits: int | None = None) -> str:
    if value is None:
        return "n/a"
    if digits is not None:
        return f"{value:.{digits}f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 1 else f"{value:.3g}"
