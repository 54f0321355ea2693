"""Candidates with made-up measurements, for the tests of choosing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeproof.fit.candidates import RECIPES, Built, Candidate
from edgeproof.fit.result import Accuracy, Row
from edgeproof.measure.runs import Run, Variant
from edgeproof.verify.paired import judge_drop, paired_drop

_ROUNDS, _RUNS = 12, 70


def row(
    recipe: str,
    ms: float,
    *,
    threads: int = 1,
    size_mb: float = 10.0,
    rss_mb: float | None = 100.0,
    cold_s: tuple[float, ...] = (0.4, 0.5, 0.6),
    lost: int | None = 0,
    photos: int = 400,
    limit: float = 0.02,
) -> Row:
    """A measured candidate that takes `ms` with a little noise, and lost `lost` of `photos` (None: the same)."""
    candidate = Candidate(next(one for one in RECIPES if one.name == recipe), "onnxruntime", threads)
    noise = np.random.default_rng([len(recipe), threads, int(ms * 100)])
    drift = np.linspace(1.0, 1.3, _ROUNDS)  # the machine gets slower, for all alike
    run = Run(
        Variant(candidate.id, Path("model.onnx"), threads=threads),
        blocks=[list(ms * share * noise.lognormal(0, 0.02, _RUNS)) for share in drift],
        cold_s=list(cold_s),
        memory_mb={"load": None if rss_mb is None else rss_mb / 2, "steady": rss_mb},
        info={"version": "1.0"},
    )
    before, after = np.ones((photos, 4)), np.ones((photos, 4))
    drop = None
    if lost is not None:
        after[:lost] = 0
        drop = paired_drop(before, after)
    verdict, needed = judge_drop(drop, limit) if drop else ("pass", None)
    accuracy = Accuracy("accuracy", "photos", float(after.mean()), 1.0, drop, 1.0, (), verdict, needed)
    return Row(candidate, run, Built(Path("model.onnx")), size_mb, accuracy=accuracy)
