"""`edgeproof fit orientation`: what it finds on this machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from edgeproof.core.budget import Budget
from edgeproof.fit.result import FitResult, Row
from edgeproof.fit.run import fit
from edgeproof.verify.paired import judge_drop
from photos import UPRIGHT


def section() -> str:
    """The table of candidates, and what the same photos can prove."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        result = fit("orientation", data=UPRIGHT, out=Path(folder) / "o.edge")
    return "\n".join(
        [
            "## fit orientation",
            "",
            f"`edgeproof fit orientation --data DIR` on 250 photos ({result.data.photos} as evidence,"
            f" {result.data.calibration_photos} to calibrate), in {result.seconds:.0f} s. Time: share of the original's"
            " in one thread, in the same rounds, with the 95 % interval. Drop: accuracy lost, paired, with the 95 %"
            " interval, photos as clusters.",
            "",
            "| candidate | p50 ms | time | MB | peak MB | drop | |",
            "|---|---|---|---|---|---|---|",
            *(_line(row, chosen=row.id == result.chosen) for row in result.rows),
            "",
            *_proofs(result),
        ]
    )


def _line(row: Row, *, chosen: bool) -> str:
    p50, rss = row.latency(0.5), row.run.peak_mb if row.run else None
    time = f"{row.ratio[0]:.2f}x ({row.ratio[1]:.2f} to {row.ratio[2]:.2f})" if row.ratio else ""
    drop = ""
    if row.accuracy:
        found = row.accuracy.drop
        drop = (
            f"{100 * found.drop:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
            if found
            else "same outputs"
        )
    state = "**chosen**" if chosen else f"{row.status}: {row.reason}" if row.reason else "ok"
    return (
        f"| {row.id} | {f'{p50:.2f}' if p50 else 'n/a'} | {time} | {row.size_mb or 0:.1f} |"
        f" {f'{rss:.0f}' if rss else 'n/a'} | {drop} | {state} |"
    )


def _proofs(result: FitResult) -> list[str]:
    row = result.row(result.chosen) if result.chosen else None
    if not row or not row.accuracy or not row.accuracy.drop:
        return ["The chosen file computes the same as the original."]
    lines = [f"What these photos prove of {row.id}:", "", "| clause | verdict |", "|---|---|"]
    for text in ("drop<3%", "drop<2%", "drop<1%", "drop<0.5%"):
        (clause,) = Budget.parse(text)
        verdict, needed = judge_drop(row.accuracy.drop, clause.limit)
        lines.append(
            f"| {text} | {verdict}{f'; about {needed:,} photos would settle it' if needed else ''} |"
        )
    return lines


if __name__ == "__main__":
    print(section(), file=sys.stdout)
