"""`check`: is a bundle, on this machine, what it was where it was made?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeproof.bundles.bundle import Bundle, open_bundle
from edgeproof.core.errors import EdgeproofError, NotFoundError
from edgeproof.devices.host import describe_host
from edgeproof.engines import open_engine
from edgeproof.measure.runs import Run, Variant, measure
from edgeproof.measure.statistics import percentile
from edgeproof.verify.golden import differs, replay_golden

_ROUNDS = 12
_PROCESSES = 3
# How much slower than its evidence every one of the processes must be: the same file on a busy machine
# easily takes half as long again in one of them.
_SLOWER = 1.5


@dataclass(frozen=True)
class CheckResult:
    """What `check` found.

    Attributes:
        verdict: "ok", "differs" (golden outputs), "slower" (than its evidence) or "refused" (can't be used).
        max_abs, max_rel: largest difference from the golden outputs; None where refused.
        latency_ms: percentiles measured here.
        evidence_ms: the median that stands in the evidence.
        reasons: why, in words.
    """

    verdict: str
    max_abs: float | None
    max_rel: float | None
    latency_ms: dict[str, float | None]
    evidence_ms: float | None
    reasons: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document, with more beside it."""
        return {
            "verdict": self.verdict,
            "golden": {"max_abs": self.max_abs, "max_rel": self.max_rel},
            "latency_ms": self.latency_ms,
            "evidence_p50_ms": self.evidence_ms,
            "reasons": list(self.reasons),
        }


def check(
    path: str | os.PathLike[str], *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> CheckResult:
    """Check every digest of a bundle, replay its golden tensors and measure it on this machine.

    Raises:
        NotFoundError: there is no bundle at `path`.
    """
    try:
        bundle = open_bundle(path)
        max_abs, max_rel = _replay(bundle)
        evidence = bundle.evidence()
    except NotFoundError:
        raise
    except EdgeproofError as error:
        return CheckResult("refused", None, None, _percentiles([]), None, [str(error)])
    tolerance = bundle.manifest.tolerance
    if not max_rel <= tolerance:
        reason = f"{differs(max_rel, tolerance)} Fit the network again on this machine."
        return CheckResult("differs", max_abs, max_rel, _percentiles([]), None, [reason])
    runs = _measure(bundle, progress)
    latencies = [value for run in runs for value in run.latencies_ms]
    evidence_ms = _evidence_median(evidence)
    medians = [float(np.median(run.latencies_ms)) for run in runs if run.latencies_ms]
    reasons = [run.error.message for run in runs if run.error]
    here = msgspec.to_builtins(describe_host())
    if (here["processor"], here["isa"]) != (
        bundle.manifest.host.get("processor"),
        bundle.manifest.host.get("isa"),
    ):
        reasons.append(f"It was fitted on another processor: {bundle.manifest.host.get('processor')}.")
    slower = bool(medians) and evidence_ms is not None and min(medians) > _SLOWER * evidence_ms
    if slower:
        reasons.append(
            f"It takes {min(medians):.2f} ms here; {evidence_ms:.2f} ms was measured where it was fitted."
            " See what else runs, or fit it again here."
        )
    verdict = "refused" if not medians else "slower" if slower else "ok"
    return CheckResult(verdict, max_abs, max_rel, _percentiles(latencies), evidence_ms, reasons)


def _replay(bundle: Bundle) -> tuple[float, float]:
    """The golden inputs one by one through the engine; largest absolute and relative difference."""
    need = bundle.manifest.engine
    with open_engine(
        bundle.model, engine=need.name, device=need.device, threads=need.threads, options=need.options
    ) as engine:
        return replay_golden(bundle, engine)


def _measure(bundle: Bundle, progress: Callable[[int, int], None]) -> list[Run]:
    need = bundle.manifest.engine
    done, total = 0, _PROCESSES * (_ROUNDS + 1)

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    with tempfile.TemporaryDirectory(prefix="edgeproof-check-") as folder:
        inputs = {}
        for number, (name, array) in enumerate(bundle.golden().inputs.items()):
            inputs[name] = Path(folder) / f"{number}.npy"
            np.save(inputs[name], array)
        runs = [
            Run(Variant(f"process-{i}", bundle.model, need.name, need.device, need.threads, need.options))
            for i in range(_PROCESSES)
        ]
        for run in runs:
            measure([run], inputs, rounds=_ROUNDS, seed=0, progress=step)
    return runs


def _percentiles(latencies: Sequence[float]) -> dict[str, float | None]:
    return {name: percentile(latencies, p) for name, p in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}


def _evidence_median(evidence: dict[str, Any]) -> float | None:
    rows = [row for row in evidence.get("candidates", ()) if row.get("id") == evidence.get("chosen")]
    value = rows[0].get("latency_ms", {}).get("p50") if rows else None
    return float(value) if isinstance(value, (int, float)) else None
