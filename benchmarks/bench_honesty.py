"""Does `edgeproof bench` tell what is different, and only that? It says how busy the machine was.

    python benchmarks/run.py bench_honesty

One file is measured under two names, in twenty-one benches. Each bench compares the two, and the first name of each
bench is compared with the second of the next one. A network of ResNet50's shape in FP32 against its INT8 form likewise.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeproof.library.bench.bench import bench
from edgeproof.measure.bench import Plan
from edgeproof.measure.pairing import compare_files
from edgeproof.measure.runs_file import RunsFile
from edgeproof.measure.timing import time_runs
from edgeproof.tasks.orientation import builtin_model
from resnet import resnets

TRIES = int(os.environ.get("EDGEPROOF_HONESTY_TRIES", "20"))
_SAME, _RESNET = 160, 48  # runs


def section() -> str:
    """The Markdown of the section."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        names = [work / "one.onnx", work / "other.onnx"]
        for name in names:
            shutil.copy(builtin_model(), name)
        same = list(tries(names, _SAME, TRIES))
        faster = list(tries(resnets(work), _RESNET, max(2, TRIES // 4)))
    busy = statistics.median(share for _, _, share in (*same, *faster))
    rows = [
        "| what | tries | in one bench | in two, one after the other |",
        "|---|---|---|---|",
        f"| one file under two names | {len(same)} | {_counted([v for v, _, _ in same])} |"
        f" {_counted([v for _, v, _ in same])} |",
        f"| INT8 against FP32, ResNet50's shape | {len(faster)} | {_counted([v for v, _, _ in faster])} |"
        f" {_counted([v for _, v, _ in faster])} |",
    ]
    return "\n".join(
        [
            "## Does bench tell what is different, and only that?",
            "",
            f"The orientation network, {_SAME} runs in 8 processes for each name; {_RESNET} for the ResNets. "
            f"In {busy:.0%} of the time some program waited for a core. "
            'Right for the first row is "can\'t tell", for the second "faster".',
            "",
            *rows,
            "",
            f"The loop that times runs costs {loop_cost_us():.2f} µs a run (the median of 20 loops of 10,000 runs that"
            " do nothing).",
        ]
    )


def tries(names: Sequence[Path], runs: int, count: int) -> Iterator[tuple[str, str, float]]:
    """The verdicts within a bench and between it and the next one, and how busy the machine was."""
    before = _measured(names, runs, 0)
    for number in range(1, count + 1):
        after = _measured(names, runs, number)
        verdicts = (
            compare_files(before, None).pairs[0][2],
            compare_files(_only(before, 0), _only(after, 1)).pairs[0][2],
        )
        for found in verdicts:
            low, high = found.ci
            print(
                f"  {number}: {found.verdict}, {found.ratio:.3f} ({low:.3f} to {high:.3f}), moved {found.moved}",
                file=sys.stderr,
                flush=True,
            )
        pressed = [one.pressure or 0.0 for one in before.conditions]
        yield verdicts[0].verdict, verdicts[1].verdict, float(np.mean(pressed))
        before = after


def _measured(names: Sequence[Path], runs: int, seed: int) -> RunsFile:
    return bench(names, plan=Plan(runs=runs, seed=seed))


def _only(file: RunsFile, place: int) -> RunsFile:
    return msgspec.structs.replace(file, variants=[file.variants[place]])


def _counted(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())


def loop_cost_us() -> float:
    """Microseconds that the timing loop itself takes for one run."""
    costs = []
    for _ in range(20):
        before = time.perf_counter_ns()
        time_runs(lambda _item: None, (None,), 10_000)
        costs.append((time.perf_counter_ns() - before) / 10_000 / 1e3)
    return statistics.median(costs)
