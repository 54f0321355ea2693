"""What `fit` found: one row for each candidate, one verdict for each clause, the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeproof.core.budget import Budget
from edgeproof.core.errors import EdgeproofError
from edgeproof.core.files import printable
from edgeproof.core.tensor import Array
from edgeproof.fit.candidates import Built, Candidate
from edgeproof.fit.data import FitData
from edgeproof.measure.runs import Run
from edgeproof.measure.statistics import percentile
from edgeproof.verify.outputs import OutputDifference
from edgeproof.verify.paired import Drop


@dataclass(frozen=True)
class Accuracy:
    """How a file compares with the original on the evidence photos.

    Attributes:
        name: of the metric; of several, the one that decides.
        unit: what the comparison counts, in the plural: photos, pairs, faces.
        value, baseline: the metric, 0 to 1, of the file and of the original.
        drop: the paired comparison; None where the file computes the same, so that nothing is to be estimated.
        agreement: how alike the answers are to the original's; None where that isn't told.
        differences: of the raw outputs.
        verdict: on the limit of the drop.
        needed: how many of `unit` would settle it, where the verdict is "not enough evidence" and a number can be told.
        answers: the file's to each evidence row, as its task keeps them.
        golden: its outputs for the first rows.
        others: the metrics that don't decide.
    """

    name: str
    unit: str
    value: float
    baseline: float
    drop: Drop | None
    agreement: float | None
    differences: Sequence[OutputDifference]
    verdict: str
    needed: int | None
    answers: Sequence[Any] = field(default=(), repr=False)
    golden: Sequence[Mapping[str, Array]] = field(default=(), repr=False)
    others: Sequence[Accuracy] = ()

    @property
    def ci(self) -> tuple[float, float]:
        """The 95 % interval of the drop."""
        return (self.drop.low, self.drop.high) if self.drop else (0.0, 0.0)

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's `metric`, with more beside it."""
        return {
            "name": self.name,
            "value": self.value,
            "baseline": self.baseline,
            "drop": self.drop.drop if self.drop else 0.0,
            "ci": list(self.ci),
            "n": self.drop.photos if self.drop else None,
            "verdict": self.verdict,
            "unit": self.unit,
            "needed": self.needed,
            "agreement": self.agreement,
            "same_outputs": self.drop is None,
            "views_lost": self.drop.lost if self.drop else 0,
            "views_gained": self.drop.gained if self.drop else 0,
            "p_value": self.drop.p_value if self.drop else None,
            "max_abs": max((one.max_abs for one in self.differences), default=None),
            "others": [one.as_json() for one in self.others],
        }


@dataclass
class Row:
    """One candidate: what was measured and what became of it.

    Attributes:
        status: "ok", "refused", "failed" or "pruned" (see CONTRACT).
        reason: why it is not "ok".
        ratio: of its time to the baseline's in the same rounds, with the 95 % interval.
    """

    candidate: Candidate
    run: Run | None = None
    built: Built | None = None
    size_mb: float | None = None
    status: str = "ok"
    reason: str | None = None
    ratio: tuple[float, float, float] | None = None
    accuracy: Accuracy | None = None

    @property
    def id(self) -> str:
        """The candidate's id."""
        return self.candidate.id

    def fail(self, error: EdgeproofError) -> None:
        """Give up on it: building or running it raised an error."""
        self.status, self.reason = "failed", error.message

    def refuse(self, reason: str) -> None:
        """It works and must not be shipped."""
        self.status, self.reason = "refused", reason

    def latency(self, p: float) -> float | None:
        """A percentile in ms, None where it wasn't measured or the sample is too small."""
        return percentile(self.run.latencies_ms, p) if self.run and self.run.blocks else None

    def cold_s(self) -> float | None:
        """The median of the fresh processes, in seconds."""
        return sorted(self.run.cold_s)[len(self.run.cold_s) // 2] if self.run and self.run.cold_s else None

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's row, with more beside it."""
        return {
            "id": self.id,
            "engine": self.candidate.engine,
            "precision": self.candidate.precision,
            "quantizer": self.candidate.recipe.quantizer,
            "threads": self.candidate.threads,
            "status": self.status,
            "reason": self.reason,
            "latency_ms": {"p50": self.latency(0.5), "p90": self.latency(0.9), "p99": self.latency(0.99)},
            "n": len(self.run.latencies_ms) if self.run else 0,
            "ratio": list(self.ratio) if self.ratio else None,
            "cold_s": self.cold_s(),
            "rss_mb": self.run.peak_mb if self.run else None,
            "size_mb": self.size_mb,
            "energy_mj": None,
            "metric": self.accuracy.as_json() if self.accuracy else None,
            "notes": list(self.built.notes) if self.built else [],
        }


@dataclass(frozen=True)
class ClauseVerdict:
    """How one candidate stands to one clause.

    Attributes:
        value, ci: in the metric's unit; None where not measured.
        margin: how far inside the limit, as a share of the limit; negative outside.
        verdict: "pass", "fail", "not measured" or "not enough evidence".
        needed: what would settle it, in words ("1,240 photos", "662 runs").
    """

    clause: str
    candidate: str
    unit: str
    value: float | None
    ci: tuple[float, float] | None
    margin: float | None
    verdict: str
    needed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's row, with more beside it."""
        return {
            "clause": self.clause,
            "candidate": self.candidate,
            "value": self.value,
            "unit": self.unit,
            "ci": list(self.ci) if self.ci else None,
            "margin": self.margin,
            "verdict": self.verdict,
            "needed": self.needed,
        }


@dataclass(frozen=True)
class FitResult:
    """The answer of `fit`.

    Attributes:
        task: what the network is for.
        method: how accuracy was judged, in words.
        rows: every candidate, the baseline first.
        verdicts: in the order of speed: what held back candidates faster than the chosen one, then the chosen
            one's own; where nothing was chosen, the nearest candidate's.
        chosen: its id, or None when the budget can't be met.
    """

    target: str
    task: str
    method: str
    budget: Budget
    rows: Sequence[Row]
    verdicts: Sequence[ClauseVerdict]
    chosen: str | None
    data: FitData
    host: dict[str, Any]
    seconds: float
    seed: int
    bundle: Path | None = None
    report: Path | None = None

    @property
    def feasible(self) -> bool:
        """Whether a candidate meets every clause."""
        return self.chosen is not None

    def row(self, id: str) -> Row:
        """The candidate of that id."""
        return next(row for row in self.rows if row.id == id)

    def evidence(self) -> dict[str, Any]:
        """The document with every raw measurement, as bundles keep it and the report shows it."""
        return self.as_json() | {"runs": [row.run.as_json() for row in self.rows if row.run]}

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document, with more beside it."""
        return {
            "target": self.target,
            "task": self.task,
            "method": self.method,
            "asked": str(self.budget),
            "baseline": self.rows[0].id,
            "chosen": self.chosen,
            "feasible": self.feasible,
            "candidates": [row.as_json() for row in self.rows],
            "budget": [verdict.as_json() for verdict in self.verdicts],
            "bundle": printable(self.bundle) if self.bundle else None,
            "report": printable(self.report) if self.report else None,
            "photos": {
                "evidence": self.data.photos,
                "calibration": self.data.calibration_photos,
                "views": len(self.data.places),
                "duplicates": self.data.duplicates,
                "left_out": self.data.left_out,
                "skipped": [
                    {"path": printable(path), "error": error.as_json()} for path, error in self.data.skipped
                ],
            },
            "host": self.host,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
        }
