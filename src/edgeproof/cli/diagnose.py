"""`edgeproof diagnose`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from edgeproof.cli.interrupt import drain_on_interrupt
from edgeproof.cli.options import engine_setting, output_options
from edgeproof.cli.output import Output, complain
from edgeproof.core.errors import EdgeproofError, UsageError

if TYPE_CHECKING:
    from edgeproof.measure.diagnosis import Diagnosis, Finding

_NODES = 6


@click.command()
@click.argument("target", required=False)
@click.option(
    "--pid",
    type=click.IntRange(1),
    metavar="PID",
    help="Watch this running process and its children instead.",
)
@click.option(
    "--minutes",
    type=float,
    default=1.0,
    show_default=True,
    metavar="M",
    help="How long to measure. Slow growth and heat need more.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), metavar="N", help="Threads inside one run, as you run it."
)
@click.option(
    "--batch", type=click.IntRange(1, 4096), metavar="N", help="Pictures in one run, as you run it."
)
@click.option("--engine", metavar="NAME", help="What runs a model file, as you run it.")
@click.option(
    "--engine-option",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the engine, such as precision=bf16. May be given several times.",
)
@click.option("--model", metavar="NAME|FILE", help="The network of a task; for faces, the detector.")
@click.option(
    "--input", "source", metavar="IMG|DIR", help="Pictures to run it on. Default: made up, and said so."
)
@click.option(
    "--input-shape",
    default="",
    metavar="SHAPE",
    help='The sizes of a network that leaves them open, such as "1x3x640x640".',
)
@output_options
def diagnose(
    output: Output,
    *,
    target: str | None,
    pid: int | None,
    minutes: float,
    settings: tuple[str, ...],
    **others: Any,
) -> int:
    """Find out why it is slow, unsteady, growing or hot, by experiment.

    TARGET is a bundle, a model file of any format, a name of `edgeproof models list`, or a built-in task: orientation,
    faces, attributes, or detect with --model. Say with the options how you run it. It is watched as it is, then run in
    turns with itself changed in one thing: fewer or more threads, threads pinned, shapes fixed, the allocator's arena
    off, several pictures in a run. What helped is a finding, with the option to set and what it brought.

    With --pid a running process and its children are watched from outside, and nothing of them is changed: memory
    growth, waiting for a core, heat.

    The exit code is 0 whether or not something is found.

    \b
    Examples:
      edgeproof diagnose net.onnx --threads 8
      edgeproof diagnose orientation --input ~/Pictures --minutes 5
      edgeproof diagnose yunet --input-shape 1x3x480x640 --json
      edgeproof diagnose --pid 4242 --minutes 10
    """
    given = [name for name, value in others.items() if value] + ["settings"] * bool(settings)
    if (target is None) == (pid is None):
        raise UsageError(
            "There is nothing to diagnose."
            if pid is None
            else "A target and --pid can't be diagnosed at once.",
            hint="Name a model file, a bundle or a task; or a running process with --pid.",
        )
    if pid is not None and given:
        raise UsageError(
            "A running process is taken as it is: only --minutes goes with --pid.",
            hint="Leave the other options out.",
        )
    stop = threading.Event()
    with output.progress() as step, drain_on_interrupt(stop) as interrupted:
        if pid is not None:
            from edgeproof.measure.process_watch import watch_process

            found = watch_process(
                pid,
                minutes=minutes,
                progress=lambda share: step("watching", round(1000 * share), 1000),
                stop=stop.is_set,
                sleep=stop.wait,
            )
        else:
            from edgeproof.library.diagnose.diagnose import diagnose as run

            assert target is not None
            found = run(
                target,
                minutes=minutes,
                options=dict(map(engine_setting, settings)),
                input=others.pop("source"),
                progress=lambda stage, share: step(stage, round(1000 * share), 1000),
                stop=stop.is_set,
                **others,
            )
    output.document(found.as_json())
    _show(output, found)
    if interrupted.signal:
        complain(EdgeproofError("Interrupted.", hint="This is what was found until then."))
    return interrupted.exit_code


def _show(output: Output, found: Diagnosis) -> None:
    output.say(f"{found.target}: {found.verdict}", style="bold")
    for line in _figures(found.observed):
        output.say(f"  {line}")
    for number, finding in enumerate(found.findings, 1):
        output.say("")
        output.say(f"{number}. {finding.symptom}", style="bold yellow")
        for name, text in _rows(finding):
            output.say(f"   {name:<11}{text}")
    if found.tried:
        rows = [(one.name, one.option, one.error or _times(one.ratio, one.ci)) for one in found.tried]
        output.table(
            "What was tried, in turns with it as it is", ("experiment", "option", "time a picture"), rows
        )
    if found.nodes:
        slowest = [
            (_short(node.name), node.op, f"{node.ms:.3f}", f"{node.share:.0%}")
            for node in found.nodes[:_NODES]
        ]
        output.table("Slowest nodes", ("node", "operator", ">ms", ">share"), slowest)


def _figures(observed: dict[str, Any]) -> list[str]:
    lines = list(observed.get("notes", []))
    if latency := observed.get("latency_ms"):
        known = [f"{name} {value:.3g} ms" for name, value in latency.items() if value is not None]
        lines.append(
            f"{observed['runs']} runs with {observed['threads']} thread{'' if observed['threads'] == 1 else 's'} on "
            f"{observed['cores']} core{'' if observed['cores'] == 1 else 's'}: "
            + (", ".join(known) or "too few for a median")
        )
    if "readings" in observed:
        lines.append(
            f"watched for {observed['seconds']:.0f} s" + (", then it ended" if observed["ended"] else "")
        )
        if observed["cores_used"] is not None:
            lines.append(
                f"{observed['processes']} process(es), {observed['threads']} thread(s), {observed['cores_used']:.2f} "
                f"of {observed['cores']} cores used"
                + ("" if observed["waited_cores"] is None else f", {observed['waited_cores']:.2f} waited for")
            )
            lines.append(
                f"taken off a core {observed['switches_per_s']:.0f} times a second, gave it up itself "
                f"{observed['waits_per_s']:.0f} times; {observed['major_faults_per_s']:.1f} faults a second "
                "that need a disk"
            )
    if memory := observed.get("rss_mb"):
        grows = (
            _growth(observed["memory"])
            if observed.get("enough", True)
            else "too short to tell; give more --minutes"
        )
        lines.append(f"memory {memory[0]:.1f} to {memory[1]:.1f} MB (RSS): {grows}")
    lines.append(f"heat: {_heat(observed)}")
    return lines


def _growth(memory: dict[str, Any]) -> str:
    words = {
        "steady": "steady",
        "growing": "growing; whether it goes on takes longer to tell",
        "leak": "grows without end",
        "settles": "grew, then settled",
        "not measured": "too short to tell",
    }
    best = memory["pss"] if memory["pss"]["verdict"] != "not measured" else memory["rss"]
    return words[best["verdict"]]


def _heat(observed: dict[str, Any]) -> str:
    verdict = observed.get("throttle", {}).get("verdict")
    if verdict in ("throttled", "not throttled"):
        return str(verdict)
    sensors = observed["sensors"]
    return (
        "not measured, no sensor tells"
        if not (sensors["celsius"] or sensors["mhz"])
        else "not throttled as far as seen"
    )


def _rows(finding: Finding) -> list[tuple[str, str]]:
    rows = [("seen", finding.seen), ("experiment", finding.experiment), ("cause", finding.cause)]
    if finding.remedy:
        rows.append(("remedy", finding.remedy))
    what = "memory" if finding.symptom == "memory" else "time"
    rows.append(
        ("brought", f"{_times(finding.gain, finding.ci)} the {what}" if finding.gain else "not tried")
    )
    return rows


def _times(ratio: float | None, ci: tuple[float, float] | None) -> str:
    if ratio is None:
        return "not measured"
    return f"{ratio:.2f} times" + (f" (95 %: {ci[0]:.2f} to {ci[1]:.2f})" if ci else "")


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"...{name[-57:]}"
