"""From what the experiments gave to findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeproof.library.diagnose.experiments import Experiment, Raced, compared
from edgeproof.measure.diagnosis import Finding, Tried
from edgeproof.measure.latencies import Shape
from edgeproof.measure.nodes import Node
from edgeproof.measure.process_watch import growth_words, hours_until, others_words
from edgeproof.measure.soak import Soak
from edgeproof.measure.statistics import ratio_interval

_HELPS = 0.95  # of the time: an interval wholly below is a finding
_SAVES = 0.85  # of the memory, and so many MB at least
_SAVES_MB = 5.0
_UNSTEADY = 1.3  # 95th percentile over the median
_STEADIER = 0.8  # of that excess
_FEWEST_BLOCKS = 6
_OTHERS = 0.25  # cores
_WAITED = 0.05  # of the time
_OUTSIDE = 0.5  # of a picture's time, beside the network
_FLOAT = 0.3  # of a quantised network's time
_QUANTISED = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "QAttention", "DynamicQuantize")
_HEAVY = ("Conv", "FusedConv", "Gemm", "MatMul", "FusedMatMul", "ConvTranspose")
_STAGE_REMEDIES = {
    "decode": "Give it JPEG rather than PNG (JPEG is decoded at a reduced size where that is enough), smaller "
    "pictures, or several pictures at a time (--workers).",
    "prepare": "Give it pictures nearer the network's size, or several pictures at a time (--workers).",
    "decode_result": "Raise the threshold, so that fewer candidates are looked at.",
}


def from_race(
    base: Raced, experiments: Sequence[Experiment], raced: Sequence[Raced]
) -> tuple[list[Finding], list[Tried]]:
    """What each experiment brought; of several that change the same thing only the best becomes a finding."""
    best: dict[str, Finding] = {}
    tried = []
    for experiment, one in zip(experiments, raced, strict=True):
        found = compared(one, base, experiment.per_run)
        tried.append(
            Tried(
                experiment.name,
                experiment.option,
                found.ratio if found else None,
                found.ci if found else None,
                str(one.run.error.message) if one.run.error else None,
            )
        )
        if found is None:
            continue
        memory = _memory(experiment, base, one)
        if memory is not None:
            best[f"{experiment.name} memory"] = memory
        if found.ci[1] >= _HELPS:
            continue
        before = float(np.median(base.run.latencies_ms))
        after = float(np.median(one.run.latencies_ms)) / experiment.per_run
        finding = Finding(
            _symptom(experiment, base, one),
            f"{before:.3g} ms a picture{_threads_said(experiment, base)}{_spread_said(base)}",
            f"run with {experiment.option} in turns with itself, {len(one.processes())} processes each: {after:.3g} ms "
            f"a picture{_spread_said(one)}",
            experiment.cause,
            experiment.option,
            found.ratio,
            found.ci,
        )
        other = best.get(experiment.name)
        if other is None or other.gain is None or found.ratio < other.gain:
            best[experiment.name] = finding
    return sorted(best.values(), key=lambda finding: finding.gain or 1.0), tried


def _symptom(experiment: Experiment, base: Raced, one: Raced) -> str:
    if experiment.symptom == "throughput":
        return "throughput"
    before, after = base.spread(), one.spread()
    if before and after and before > _UNSTEADY and after - 1 < _STEADIER * (before - 1):
        return "jitter"
    return "slow"


def _threads_said(experiment: Experiment, base: Raced) -> str:
    if experiment.name != "threads":
        return ""
    count = base.run.variant.threads
    return f" with {count} thread{'' if count == 1 else 's'}"


def _spread_said(one: Raced) -> str:
    spread = one.spread()
    return "" if spread is None else f", the slowest 5 % at {spread:.1f} times that or more"


def _memory(experiment: Experiment, base: Raced, one: Raced) -> Finding | None:
    pairs = list(zip(one.pss_mb, base.pss_mb, strict=False))
    if not pairs or experiment.name not in ("arena", "threads", "shapes"):
        return None
    ratio, low, high = ratio_interval([[a] for a, _ in pairs], [[b] for _, b in pairs])
    before, after = (float(np.median(column)) for column in zip(*pairs, strict=True))
    if high > _SAVES or before - after < _SAVES_MB:
        return None
    found = compared(one, base)
    cost = f"; it takes {found.ratio:.2f} times as long" if found else ""
    return Finding(
        "memory",
        f"the process holds {before:.0f} MB",
        f"run with {experiment.option} in turns with itself: {after:.0f} MB{cost}",
        experiment.cause,
        experiment.option,
        ratio,
        (low, high),
    )


def contention(raced: Sequence[Raced], cores: int, observed: dict[str, Any]) -> list[Finding]:
    """Other programs on the same cores: runs that waited for a core, against those that waited least.

    Arguments:
        raced: the target and the experiments; the one with the fewest threads is looked at, as threads of its own that
            wait for each other look the same.
    """
    able = [one.run for one in raced if one.run.blocks and one.run.variant.threads <= cores]
    if not able:
        return []
    run = min(able, key=lambda run: run.variant.threads)
    threads = run.variant.threads
    told = [facts.get("waited") for facts in run.circumstances]
    shares = np.array([share / threads for share in told if share is not None])
    others = observed["others_cores"]
    if len(shares) != len(run.blocks) or shares.mean() < _WAITED or others < _OTHERS:
        return []
    medians = np.array([float(np.median(block)) for block in run.blocks])
    calm, gain, ci = shares <= max(_WAITED / 2, float(np.quantile(shares, 0.25))), None, None
    said = "too few runs to compare with quiet moments"
    if calm.sum() >= _FEWEST_BLOCKS and (~calm).sum() >= _FEWEST_BLOCKS:
        gain, ci = _calm_ratio(medians, calm)
        said = (
            f"{np.median(medians[calm]):.3g} ms in the {calm.mean():.0%} of the runs that waited least, "
            f"{np.median(medians):.3g} ms over all"
        )
    if ci is not None and ci[1] >= 1:  # the waiting is there, and costs it nothing that can be seen
        return []
    how = f"with {threads} thread{'' if threads == 1 else 's'} "
    return [
        Finding(
            "processor taken away",
            f"{how}it was ready and had no core in {shares.mean():.0%} of the time; other programs used "
            f"{others:.1f} of {cores} cores, " + others_words(observed["others"]),
            f"its own runs {how}compared with each other: {said}",
            "other programs want the same cores",
            "Stop them, run them with nice, or keep them off its cores (taskset).",
            gain,
            ci,
        )
    ]


def _calm_ratio(
    medians: np.ndarray[Any, Any], calm: np.ndarray[Any, Any]
) -> tuple[float, tuple[float, float]]:
    """The median of the calm blocks over that of all, and its interval from resampling blocks."""
    random = np.random.default_rng(0)
    estimates = []
    for _ in range(1000):
        pick = random.integers(0, len(medians), len(medians))
        if calm[pick].any():
            estimates.append(float(np.median(medians[pick][calm[pick]]) / np.median(medians[pick])))
    low, high = np.quantile(estimates, (0.025, 0.975))
    return float(np.median(medians[calm]) / np.median(medians)), (float(low), float(high))


def unexplained(shape: Shape | None, base: Raced, findings: Sequence[Finding]) -> list[Finding]:
    """Jitter that no experiment took away."""
    spread = base.spread()
    signs = []
    if spread is not None and spread > _UNSTEADY:
        signs.append(f"the slowest 5 % of the runs take {spread:.1f} times the median or more")
    if shape is not None and shape.stalls:
        signs.append(
            f"a run of {shape.stalls.times:.1f} times the median every {shape.stalls.every:.3g} {shape.stalls.unit}"
        )
    if shape is not None and shape.modes:
        signs.append(
            f"two speeds, {shape.modes.low:.3g} and {shape.modes.high:.3g} ms "
            f"({shape.modes.share_high:.0%} of the runs)"
        )
    if shape is not None and shape.step:
        signs.append(f"it went from {shape.step.before:.3g} to {shape.step.after:.3g} ms and stayed there")
    if shape is not None and shape.drift:
        signs.append(f"it drifted by {shape.drift.total:+.0%}")
    if not signs or any(
        finding.symptom in ("jitter", "processor taken away", "heat") for finding in findings
    ):
        return []
    return [
        Finding(
            "jitter",
            "; ".join(signs),
            "every experiment in the list below",
            "not found by these experiments",
            "Look for what else runs at those moments (edgeproof device shows the governor and the load), and watch "
            "longer (--minutes).",
        )
    ]


def leaking(seen: Soak, without_arena: Soak | None) -> list[Finding]:
    """Memory that grows, and whether the allocator's pool is why."""
    found = seen.memory
    verdicts = {one.verdict for one in found.values()} - {"not measured"}
    if verdicts != {"leak"}:
        return []
    best = found["pss"] if found["pss"].verdict == "leak" else found["rss"]
    assert best.mb_per_hour is not None
    pool = without_arena is not None and not any(
        one.verdict in ("leak", "growing") for one in without_arena.memory.values()
    )
    experiment = "the same time again grows as the first did"
    if without_arena is not None:
        experiment += (
            "; and with --engine-option arena=false it does not"
            if pool
            else "; with the arena off it grows too"
        )
    return [
        Finding(
            "memory growth",
            f"memory grew from {seen.rss_mb[0]:.1f} to {seen.rss_mb[-1]:.1f} MB, by {growth_words(best)}",
            experiment,
            "the allocator's pool grows without end"
            if pool
            else "running this network takes memory and does not give it back",
            "--engine-option arena=false"
            if pool
            else f"Restart the process at least every {hours_until(best.mb_per_hour, seen.rss_mb[-1])}, and report "
            "this to the makers of the runtime.",
        )
    ]


def outside_network(stages_ms: dict[str, float] | None) -> list[Finding]:
    """A stage beside the network that dominates."""
    if not stages_ms or not sum(stages_ms.values()):
        return []
    total = sum(stages_ms.values())
    worst = max((name for name in stages_ms if name != "run"), key=lambda name: stages_ms[name])
    if 1 - stages_ms.get("run", 0.0) / total < _OUTSIDE:
        return []
    parts = ", ".join(f"{name} {value:.3g} ms" for name, value in stages_ms.items())
    return [
        Finding(
            "slow",
            f"of {total:.3g} ms a picture the network takes {stages_ms.get('run', 0.0):.3g} ms: {parts}",
            "each stage timed on its own in every run",
            f"{worst.replace('_', ' ')} takes most of the rest; a faster network would hardly be noticed",
            _STAGE_REMEDIES.get(worst),
        )
    ]


def from_nodes(nodes: Sequence[Node], provider: str) -> list[Finding]:
    """Nodes of a quantised network that run in float, and nodes that another provider took."""
    findings = []
    quantised = sum(node.share for node in nodes if node.op.startswith(_QUANTISED))
    heavy = [node for node in nodes if node.op in _HEAVY]
    in_float = sum(node.share for node in heavy)
    if quantised > 0 and in_float > _FLOAT:
        named = ", ".join(f"{node.name} ({node.op})" for node in heavy[:3])
        findings.append(
            Finding(
                "slow",
                f"{in_float:.0%} of the time goes to {len(heavy)} nodes that run in float although the network is "
                f"quantised, the slowest: {named}",
                "the runtime's own profile of every node",
                "they fell back to float: not quantised, or between nodes that are not",
                "Quantise it again with `edgeproof fit`, which tries each way and measures it.",
            )
        )
    dynamic = sum(node.share for node in nodes if node.op.startswith(("ConvInteger", "DynamicQuantize")))
    if dynamic > _FLOAT:
        findings.append(
            Finding(
                "slow",
                f"{dynamic:.0%} of the time goes to convolutions that are quantised anew in every run",
                "the runtime's own profile of every node",
                "dynamic INT8, which is slow on convolutions",
                "Quantise it statically: `edgeproof fit MODEL --data PHOTOS`.",
            )
        )
    if ", without " in provider:
        taken, _, left = provider.partition(", without ")
        findings.append(
            Finding(
                "slow",
                f"{taken} left nodes to the processor: {left}",
                "who ran each node, as the runtime tells",
                "that provider has no kernel for them, and data goes to and fro",
                "See `edgeproof ops MODEL --for RUNTIME` for what to change in the network.",
            )
        )
    return findings
