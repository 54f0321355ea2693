"""Test the measurer on runners whose properties are known, and write docs/measurer.md.

    python benchmarks/measurer.py [--traces N] [--seed S] [--print]

Every case is N traces made from fresh seeds. A miss is a trace where what was planted is not reported; a false alarm
is one where anything is reported that was not planted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeproof.measure import synthetic
from edgeproof.measure.latencies import describe
from edgeproof.measure.leak import confirmed
from edgeproof.measure.synthetic import RUNS, Trace
from edgeproof.measure.throttle import throttle

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurer.md"
TRACES = 300
# Thresholds were chosen on other seeds, and whoever changes one takes a new seed here: what is reported is from traces
# that nobody has looked at before.
SEED = 20_261_124
MOST_FALSE, MOST_MISSED = 0.01, 0.05


@dataclass(frozen=True)
class Case:
    """A runner, what is planted in it, and who looks at its traces.

    Attributes:
        make: the trace of a seed. planted: the one finding that is right, or "".
        look: the findings of a trace.
        effect: the size of what is planted, in words.
    """

    name: str
    make: Callable[[np.random.Generator], Trace]
    planted: str
    look: Callable[[Trace], set[str]]
    effect: str


@dataclass(frozen=True)
class Score:
    """How often a case went wrong, of how many traces."""

    case: Case
    traces: int
    false_alarms: int
    misses: int | None


def latency_findings(trace: Trace) -> set[str]:
    """What `describe` reports of the latencies."""
    shape = describe(trace.latency_ms)
    parts = {"drift": shape.drift, "step": shape.step, "stalls": shape.stalls, "modes": shape.modes}
    return {name for name, found in parts.items() if found}


def warm_up_findings(trace: Trace) -> set[str]:
    """Those, and "settled" where the warm-up that is discarded is neither too short nor more than a quarter."""
    steady = describe(trace.latency_ms).steady_from
    assert trace.at is not None
    right = steady is not None and trace.at / 3 <= steady <= RUNS / 4
    return latency_findings(trace) | ({"settled"} if right else set())


def memory_findings(trace: Trace) -> set[str]:
    """Whether the doubled run confirms a leak."""
    return {"leak"} if confirmed(trace.seconds, trace.memory_mb).verdict == "leak" else set()


def throttle_findings(trace: Trace) -> set[str]:
    """Whether two of the three signs of throttling are seen."""
    return {"throttled"} if throttle(trace.latency_ms, trace.sensors).verdict == "throttled" else set()


CASES = (
    Case("log-normal latencies", synthetic.log_normal, "", latency_findings, "nothing happens"),
    Case(
        "busy neighbour", synthetic.noisy_neighbour, "", latency_findings, "10 to 40 bursts at random moments"
    ),
    Case("step", synthetic.step, "step", latency_findings, "10 % at a random moment"),
    Case("slow drift", synthetic.drift, "drift", latency_findings, "10 % over the trace"),
    Case("periodic stall", synthetic.periodic_stall, "stalls", latency_findings, "5 times, every 50 runs"),
    Case("two modes", synthetic.two_modes, "modes", latency_findings, "60 % apart, switching at random"),
    Case("warm-up", synthetic.warm_up, "settled", warm_up_findings, "1.5 to 3 times at first"),
    Case("steady memory", synthetic.steady_memory, "", memory_findings, "nothing happens"),
    Case("leak", synthetic.leak, "leak", memory_findings, "1 KB a run"),
    Case("allocator plateau", synthetic.plateau, "", memory_findings, "5 to 80 MB, then no more"),
    Case(
        "arena in steps",
        synthetic.staircase,
        "",
        memory_findings,
        "1 to 6 times 4 MB at random moments",
    ),
    Case("garbage collector", synthetic.sawtooth, "", memory_findings, "2 to 30 MB, given back"),
    Case("throttled device", synthetic.throttled, "throttled", throttle_findings, "clock down by 15 to 50 %"),
    Case("warm device", synthetic.warm_device, "", throttle_findings, "10 to 30 °C below its trip point"),
    Case(
        "slower, but cool", synthetic.slower_but_cool, "", throttle_findings, "20 % slower, the clock stays"
    ),
    Case(
        "hot, but steady",
        synthetic.hot_but_steady,
        "",
        throttle_findings,
        "at its trip point, the clock stays",
    ),
)


def score(case: Case, traces: int, seed: int) -> Score:
    """Look at `traces` traces of a case, of seeds that no other case and no other `seed` has."""
    number = CASES.index(case)
    false_alarms = misses = 0
    for trace in range(traces):
        found = case.look(case.make(np.random.default_rng((seed, number, trace))))
        misses += bool(case.planted) and case.planted not in found
        false_alarms += bool(found - {case.planted})
    return Score(case, traces, false_alarms, misses if case.planted else None)


def page(scores: Sequence[Score], seed: int) -> str:
    """docs/measurer.md."""
    rows = [
        f"| {s.case.name} | {s.case.effect} | {s.traces} | {_share(s.false_alarms, s.traces)} | "
        f"{'–' if s.misses is None else _share(s.misses, s.traces)} |"
        for s in scores
    ]
    return _TEXT.format(rows="\n".join(rows), traces=scores[0].traces, seed=seed, runs=f"{RUNS:,}")


def _share(count: int, of: int) -> str:
    return f"{count} ({100 * count / of:.1f} %)"


_TEXT = """# How far the measurer can be trusted

`edgeproof bench --soak` and `edgeproof diagnose` say that memory leaks, that latency drifts, steps or stalls, that a
device throttles. This page says how often they are wrong. `python benchmarks/measurer.py` makes it: {traces} traces of
each case from fresh seeds (`--seed {seed}`), in which what is to be found is known because it was put there.

- A **miss**: what was planted is not reported. At most 5 % are allowed.
- A **false alarm**: anything is reported that was not planted, of all that is looked for. At most 1 % are allowed.

| case | what is planted | traces | false alarms | misses |
|---|---|---:|---:|---:|
{rows}

A trace of latencies has {runs} runs. They are log-normal with a spread of 3 to 12 % (drawn for each trace), hang
together (a first-order autoregression of 0.2 to 0.7), and one in 500 to 2,000 is delayed by something else. Memory is
read every 50 of {runs} runs, and of as many again for the doubled run that confirms a leak; its noise of 0.05 to 1 MB
hangs together too (0.3 to 0.95). Devices are read 120 times. The runners are in `src/edgeproof/measure/synthetic.py`.

These are simulations. They show that the tests do what they claim on series like these, and nothing about series that
are not like these: memory that grows for longer than the doubled run and then stops looks like a leak, and a
throttled device that shows neither its clock nor its temperature is reported as not measured. The interval of the slope
is a little too narrow where readings hang together (87 to 94 % in place of 95 %): a reason for the doubled run.

## What is looked for, and how

| finding | reported when |
|---|---|
| leak | after the warm-up the Theil-Sen slope passes 50 MB a day, the lower end of its 95 % block-bootstrap interval \
is above 0, and a doubled run confirms both |
| drift | Mann-Kendall, corrected for autocorrelation (Hamed and Rao), at 0.2 %, and a change of 4 % or more |
| step | Pettitt's statistic, its chance from permuted blocks, at 0.2 %, and a change of 4 % or more |
| stalls | runs of twice the median or more come back at a fixed interval (Rayleigh test at 0.1 %), in most cycles |
| several modes | Hartigan's dip test at 0.1 %, and 5 % or more between the two |
| throttled | two of three: the clock steps down, a temperature within 5 °C of its trip point, latency steps up |
| steady | MSER-5 finds the end of the warm-up in the first half |
"""


def main(words: Sequence[str]) -> int:
    """Score every case, and write the page."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    options.add_argument("--traces", type=int, default=TRACES)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--print", action="store_true", help="print the scores and write nothing")
    chosen = options.parse_args(words)
    scores = []
    for case in CASES:
        scores.append(score(case, chosen.traces, chosen.seed))
        print(
            f"{case.name}: {scores[-1].false_alarms} false, {scores[-1].misses} missed",
            file=sys.stderr,
            flush=True,
        )
    if not chosen.print:
        PAGE.write_text(page(scores, chosen.seed), encoding="utf-8")
    wrong = [
        s.case.name
        for s in scores
        if s.false_alarms > MOST_FALSE * s.traces or (s.misses or 0) > MOST_MISSED * s.traces
    ]
    if wrong:
        print(f"Above the limits: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
