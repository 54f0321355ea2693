"""What a file of runs comes to: one row for each variant, as CONTRACT has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeproof.measure.comparison import Comparison, compare
from edgeproof.measure.runs_file import Measured, RunsFile
from edgeproof.measure.statistics import minimum_runs, percentile
from edgeproof.measure.validity import Conditions, judge

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
PHASES = ("load", "first", "steady")


def percentiles(latencies: Sequence[float]) -> dict[str, float | None]:
    """Those that the number of runs allows; None for the others."""
    return {name: percentile(latencies, p) for name, p in PERCENTILES.items()}


def missing(latencies: Sequence[float]) -> dict[str, str]:
    """For each percentile that can't be given, what it needs."""
    return {
        name: f"needs {minimum_runs(p):,} runs, had {len(latencies):,}"
        for name, p in PERCENTILES.items()
        if len(latencies) < minimum_runs(p)
    }


def row(measured: Measured, conditions: Sequence[Conditions]) -> dict[str, Any]:
    """One variant of CONTRACT's document, with more beside it."""
    latencies = measured.latencies_ms()
    verdict, reasons = judge(
        measured.processes(),
        conditions,
        waited=[block.waited / measured.threads for block in measured.blocks if block.waited is not None],
        mhz=[block.mhz for block in measured.blocks if block.mhz is not None],
        paced=any(block.arrivals for block in measured.blocks),
    )
    if measured.error:
        verdict, reasons = "invalid", [measured.error["message"], *(reasons if measured.blocks else [])]
    found = [block.found for block in measured.blocks if block.found is not None]
    if found and not any(found):
        reasons.append("nothing was found in the pictures: what comes after a find was not measured")
        verdict = "suspect" if verdict == "valid" else verdict
    energy = measured.energy
    stages = _stages(measured)
    memory = measured.memory_mb
    known = [memory[phase] for phase in PHASES if memory.get(phase) is not None]
    per_run = energy.joules / energy.runs * 1e3 if energy.joules is not None and energy.runs else None
    return {
        "id": measured.id,
        "target": measured.target,
        "task": measured.task,
        "engine": measured.engine,
        "device": measured.device,
        "provider": measured.info.get("provider"),
        "version": measured.info.get("version"),
        "precision": measured.info.get("precision"),
        "threads": measured.threads,
        "batch": measured.batch,
        "latency_ms": percentiles(latencies),
        "not_available": missing(latencies),
        "throughput": _throughput(measured),
        "cold_s": _median(measured.cold_s),
        "load_s": _median(measured.load_s),
        "first_ms": _median(measured.first_ms),
        "memory_mb": {
            **{phase: memory.get(phase) for phase in PHASES},
            "peak": max(known, default=None),  # type: ignore[type-var]
            "pss": memory.get("pss"),
        },
        "energy_mj": None if per_run is None else per_run / measured.batch,
        "energy": {
            "meter": energy.meter,
            "scope": energy.scope,
            "interval_s": energy.interval_s,
            "runs": energy.runs,
            "idle_watts": energy.idle_watts,
            "above_idle_mj": None
            if energy.joules is None or energy.idle_watts is None or not energy.runs
            else (energy.joules - energy.idle_watts * energy.seconds) / energy.runs / measured.batch * 1e3,
            "reason": energy.reason,
        },
        "stages_ms": {name: _median(values) for name, values in stages.items()} or None,
        "network_latency_ms": percentiles(stages["run"]) if "run" in stages else None,
        "arrivals": _arrivals(measured),
        "found": sum(found) if found else None,
        "n": len(latencies),
        "processes": len(measured.cold_s),
        "verdict": verdict,
        "reasons": reasons,
        "notes": measured.notes,
        "error": measured.error,
    }


def document(runs: RunsFile) -> dict[str, Any]:
    """CONTRACT's document of `bench`."""
    rows = [row(measured, runs.conditions) for measured in runs.variants]
    return {
        "host": runs.host,
        "settings": runs.settings,
        "complete": runs.complete,
        "variants": rows,
        "pairs": [
            pair_json(first.id, other.id, found) for first, other, found in against_first(runs.variants)
        ],
    }


def against_first(variants: Sequence[Measured]) -> list[tuple[Measured, Measured, Comparison]]:
    """Every other variant of a file against its first, those that have runs."""
    able = [variant for variant in variants if variant.blocks]
    return [
        (able[0], other, compare(other.processes(), able[0].processes(), together=True)) for other in able[1:]
    ]


def pair_json(a: str, b: str, found: Comparison) -> dict[str, Any]:
    """One of CONTRACT's `pairs`."""
    return {
        "a": a,
        "b": b,
        "ratio": found.ratio,
        "ci": list(found.ci),
        "p": found.p,
        "effect": found.effect,
        "machine_moved": found.moved,
        "verdict": found.verdict,
    }


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _stages(measured: Measured) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for block in measured.blocks:
        for name, values in block.stages_ms.items():
            found.setdefault(name, []).extend(values)
    return found


def _throughput(measured: Measured) -> float | None:
    """Pictures a second: runs one after another, or what was served of arrivals."""
    paced = [block for block in measured.blocks if block.arrivals]
    seconds = sum(block.arrivals.seconds for block in paced if block.arrivals)
    if not paced:
        seconds = sum(measured.latencies_ms()) / 1e3
    served = sum(len(block.latency_ms) for block in paced or measured.blocks)
    return measured.batch * served / seconds if seconds > 0 else None


def _arrivals(measured: Measured) -> dict[str, Any] | None:
    found = [block.arrivals for block in measured.blocks if block.arrivals]
    if not found:
        return None
    return {name: sum(getattr(one, name) for one in found) for name in ("arrived", "dropped", "late")}
