"""`bench --soak`: each variant for some minutes without a pause, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from edgeproof.core.options import Options
from edgeproof.devices.host import describe_host
from edgeproof.library.bench.bench import SIDES, named_variants
from edgeproof.library.bench.photos import readable
from edgeproof.measure.soak import Soak, document, soak
from edgeproof.measure.targets import Named, Wishes


def soak_targets(  # noqa: PLR0913 - one for each option
    targets: Sequence[str | os.PathLike[str]],
    *,
    minutes: float,
    engines: Sequence[str] = (),
    threads: Sequence[int] = (),
    batches: Sequence[int] = (),
    options: Options | None = None,
    model: str | None = None,
    input: str | os.PathLike[str] | None = None,
    input_shape: str = "",
    seed: int = 0,
    progress: Callable[[str, float], None] = lambda _id, _share: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Soak every variant, and give the document of `bench` with a `soak` in each row.

    Arguments:
        minutes: for each variant; as long again where its memory seems to grow.
        seed: of inputs by chance.
        progress: told the id of the variant that runs and the share of it that is done.
        stop: asked now and then whether to end early; what there is by then is kept.
        The others are those of `edgeproof.library.bench.bench.bench`, and so are the errors raised.
    """
    rows = []
    with TemporaryDirectory(prefix="edgeproof-soak-") as folder:
        photos, pictures = readable(input) if input is not None else ([], [])
        wishes = Wishes(
            engines=engines,
            threads=threads,
            batches=batches,
            options=options or {},
            pictures=[picture.pixels for picture in pictures],
            input_shape=input_shape,
            sides=SIDES,
            seed=seed,
        )
        names = [os.fspath(target) for target in targets]
        for named in named_variants(names, wishes, model, photos, Path(folder)):
            if stop():
                break
            variant = named.variant
            seen = soak(
                variant,
                {},
                minutes=minutes,
                progress=partial(progress, variant.id),
                stop=stop,
            )
            rows.append(_row(named, seen))
    return {"host": msgspec.to_builtins(describe_host()), "variants": rows}


def _row(named: Named, seen: Soak) -> dict[str, Any]:
    told, opened, variant = document(seen), seen.opened, named.variant
    info, memory = opened.get("info", {}), opened.get("memory_mb", {})
    ran = told["ran_s"]
    return {
        "id": variant.id,
        "target": named.about["target"],
        "engine": variant.engine,
        "provider": info.get("provider"),
        "precision": info.get("precision"),
        "threads": variant.threads,
        "batch": variant.batch,
        "latency_ms": told["latency_ms"],
        "throughput": seen.runs * variant.batch / ran if ran else None,
        "cold_s": opened.get("cold_s"),
        "load_s": opened.get("load_s"),
        "first_ms": opened.get("first_ms"),
        "memory_mb": {
            "load": memory.get("load"),
            "first": memory.get("first"),
            "steady": max(seen.rss_mb, default=None),
            "peak": max(
                (value for value in (*memory.values(), *seen.rss_mb) if value is not None), default=None
            ),
            "pss": max(seen.pss_mb, default=None),
        },
        "energy_mj": None,
        "stages_ms": {},
        "n": seen.runs,
        "verdict": "invalid" if seen.error or not seen.runs else _validity(told),
        "reasons": _reasons(told),
        "notes": list(named.about.get("notes", [])),
        "error": told["error"],
        "soak": told,
    }


def _validity(told: dict[str, Any]) -> str:
    return "valid" if told["verdict"] == "steady" else "suspect"


def _reasons(told: dict[str, Any]) -> list[str]:
    reasons = list(told["throttle"]["reasons"]) if told["throttle"]["verdict"] == "throttled" else []
    if told["verdict"] == "leak":
        reasons.append("its memory grows without end")
    shape = told["shape"] or {}
    if drift := shape.get("drift"):
        reasons.append(f"it drifted by {drift['total']:+.0%}")
    if step := shape.get("step"):
        reasons.append(f"it went from {step['before_ms']:.3g} to {step['after_ms']:.3g} ms")
    if stalls := shape.get("stalls"):
        reasons.append(
            f"runs of {stalls['times']:.1f} times the median every {stalls['every']:.3g} {stalls['unit']}"
        )
    if modes := shape.get("modes"):
        reasons.append(f"two speeds: {modes['low_ms']:.3g} and {modes['high_ms']:.3g} ms")
    return reasons
