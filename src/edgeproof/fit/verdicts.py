"""How a measured candidate stands to each clause of a budget."""

from __future__ import annotations

import statistics

from edgeproof.core.budget import METRICS, Budget, Clause
from edgeproof.fit.result import ClauseVerdict, Row
from edgeproof.measure.statistics import minimum_runs, percentile, percentile_interval

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
UNDECIDED = "not enough evidence"


def judge(row: Row, budget: Budget) -> list[ClauseVerdict]:
    """One verdict a clause, in the budget's order."""
    return [_judge(row, clause) for clause in budget]


def _judge(row: Row, clause: Clause) -> ClauseVerdict:
    value: float | None = None
    ci: tuple[float, float] | None = None
    needed: str | None = None
    latencies = row.run.latencies_ms if row.run else []
    if clause.metric in PERCENTILES:
        p = PERCENTILES[clause.metric]
        value = percentile(latencies, p)
        ci = percentile_interval(row.run.blocks, p) if row.run and row.run.blocks else None
        if latencies and value is None:
            needed = f"{minimum_runs(p):,} runs, had {len(latencies):,}"
    elif clause.metric == "fps" and latencies:
        rates = [1e3 / statistics.fmean(block) for block in row.run.blocks] if row.run else []
        value, ci = 1e3 / statistics.fmean(latencies), percentile_interval([rates], 0.5)
    elif clause.metric == "cold" and row.run and row.run.cold_s:
        cold = [seconds * 1e3 for seconds in row.run.cold_s]
        value, ci = statistics.median(cold), (min(cold), max(cold))
    elif clause.metric == "rss" and row.run:
        value = row.run.peak_mb
    elif clause.metric == "size":
        value = row.size_mb
    elif clause.metric == "drop" and row.accuracy:
        value = row.accuracy.drop.drop if row.accuracy.drop else 0.0
        ci = row.accuracy.ci
        if row.accuracy.needed and row.accuracy.drop:
            needed = f"about {row.accuracy.needed:,} {row.accuracy.unit}, had {row.accuracy.drop.photos:,}"
    return ClauseVerdict(
        clause=clause.text,
        candidate=row.id,
        unit=METRICS[clause.metric].unit,
        value=value,
        ci=ci,
        margin=clause.margin(value) if value is not None else None,
        verdict=_verdict(clause, value, ci, missing=UNDECIDED if needed else "not measured"),
        needed=needed,
    )


def _verdict(clause: Clause, value: float | None, ci: tuple[float, float] | None, missing: str) -> str:
    if value is None:
        return missing
    inside = [clause.margin(end) > 0 for end in ci or (value,)]
    if all(inside):
        return "pass"
    return UNDECIDED if any(inside) else "fail"
