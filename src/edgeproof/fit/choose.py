"""Which candidate to ship: never one that is worse."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.core.budget import Budget
from edgeproof.fit.result import ClauseVerdict, Row
from edgeproof.fit.verdicts import UNDECIDED, judge
from edgeproof.measure.statistics import ratio_interval

# A candidate this much slower than the original, at the better end of its interval, is refused. The slack is
# for what the same file differs between two processes.
SLOWER = 1.02
# What differs by less is as fast for a user; a wide interval alone, from few rounds, makes no tie.
_ALIKE = 1.05


def refuse_slower(rows: Sequence[Row]) -> None:
    """Fill in each row's ratio to the baseline (the first row) and refuse what is surely slower."""
    baseline = rows[0]
    for row in rows[1:]:
        if not row.run or not row.run.blocks or not baseline.run or not baseline.run.blocks:
            continue
        row.ratio = ratio(row, baseline)
        if row.status == "ok" and row.ratio[1] > SLOWER:
            middle, low, high = row.ratio
            row.refuse(f"slower than the original: {middle:.2f}x its time ({low:.2f} to {high:.2f})")
    baseline.ratio = (1.0, 1.0, 1.0)


def ratio(a: Row, b: Row) -> tuple[float, float, float]:
    """Time of a as a share of b's, over the rounds that both took part in."""
    assert a.run is not None
    assert b.run is not None
    rounds = min(len(a.run.blocks), len(b.run.blocks))
    return ratio_interval(a.run.blocks[:rounds], b.run.blocks[:rounds])


def choose(rows: Sequence[Row], budget: Budget) -> tuple[Row | None, list[ClauseVerdict]]:
    """The fastest row that meets every clause, and the verdicts to show (see FitResult.verdicts).

    Where the measurements can't tell two apart, the smaller file wins, then fewer threads, then the smaller drop, then
    the original.
    """
    verdicts = {
        row.id: judge(row, budget) for row in rows if row.run and row.run.blocks and row.status != "failed"
    }
    ranked = sorted((row for row in rows if row.id in verdicts), key=speed)
    eligible = []
    for row in ranked:
        if row.status != "ok":
            continue
        short = [verdict for verdict in verdicts[row.id] if verdict.verdict != "pass"]
        if short:
            row.refuse("; ".join(_shortfall(verdict) for verdict in short))
        else:
            eligible.append(row)
    if not eligible:
        nearest = min(ranked, key=lambda row: (_unmet(verdicts[row.id]), speed(row)), default=None)
        return None, verdicts[nearest.id] if nearest else []
    eligible = _finalists(eligible)
    fastest = eligible[0]
    ties = [row for row in eligible if row is fastest or _as_fast(row, fastest)]
    chosen = min(ties, key=lambda row: (*_cost(row), row is not rows[0], row.id))
    faster = ranked[: ranked.index(chosen)]
    held = [verdict for row in faster for verdict in verdicts[row.id] if verdict.verdict == UNDECIDED]
    return chosen, held[:1] + verdicts[chosen.id]


def _finalists(rows: Sequence[Row]) -> list[Row]:
    """Those that were measured to the end: one that the first measurements left behind has too little evidence."""
    processes = [len(row.run.cold_s) if row.run else 0 for row in rows]
    return [row for row, count in zip(rows, processes, strict=True) if count == max(processes)]


def _cost(row: Row) -> tuple[float, int, float]:
    return round(row.size_mb or 0.0, 1), row.candidate.threads, _loss(row)


def _as_fast(row: Row, fastest: Row) -> bool:
    middle, low, _ = ratio(row, fastest)
    return low <= 1.0 and middle <= _ALIKE


def speed(row: Row) -> float:
    """A row's time as a share of the baseline's, in the same rounds.

    Not its median in ms: rows that were measured in other minutes, on a machine that was busier or slower
    then, can't be ranked by it.
    """
    return row.ratio[0] if row.ratio else float("inf")


def _loss(row: Row) -> float:
    return row.accuracy.drop.drop if row.accuracy and row.accuracy.drop else 0.0


def _unmet(verdicts: Sequence[ClauseVerdict]) -> tuple[int, float]:
    """How many clauses are missed, and by how much in all."""
    missed = [verdict for verdict in verdicts if verdict.verdict != "pass"]
    return len(missed), sum(-(verdict.margin or 0.0) for verdict in missed)


def _shortfall(verdict: ClauseVerdict) -> str:
    if verdict.verdict == "not measured":
        return f"{verdict.clause}: not measured on this machine"
    if verdict.verdict == UNDECIDED:
        return f"{verdict.clause}: not enough evidence" + (
            f" (needs {verdict.needed})" if verdict.needed else ""
        )
    shown = verdict.value if verdict.unit else (verdict.value or 0) * 100
    return f"{verdict.clause}: {shown:.4g} {verdict.unit or '%'}"
