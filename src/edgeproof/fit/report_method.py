"""How it was measured: the report's last section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from edgeproof.fit.verdicts import PERCENTILES
from edgeproof.fit.wording import TOLD, known, span, times, unit
from edgeproof.measure.statistics import minimum_runs

Json = Mapping[str, Any]


def method(evidence: Json, runs: Mapping[str, Json]) -> dict[str, str]:
    """The words of the report's last section by their names in the page."""
    photos, measured = evidence["photos"], [run for run in runs.values() if run["blocks_ms"]]
    meters = any(known(row["energy_mj"]) is not None for row in evidence["candidates"])
    calibration = "There were too few photos to keep some apart for calibrating INT8 files."
    if photos["calibration"]:
        calibration = f"{times(photos['calibration'], 'other photo')} calibrated the INT8 files."
    return {
        "processes": span([len(run["cold_s"]) for run in measured]),
        "rounds": span([len(run["blocks_ms"]) for run in measured]),
        "runs": f"{sum(len(block) for run in measured for block in run['blocks_ms']):,}",
        "judged": _judged(evidence),
        "calibration": calibration,
        "duplicates": f"{times(photos['duplicates'], 'photo')} left out as duplicates"
        + (f", {photos['left_out']:,} for want of room." if photos.get("left_out") else "."),
        "skipped": _skipped(photos["skipped"]),
        "energy": "Of one run; see the table." if meters else "Not measured: no sensor was read.",
        "facts": _facts(evidence, runs),
        "minimum": ", ".join(f"{minimum_runs(PERCENTILES[name]):,} for {name}" for name in TOLD),
    }


def _judged(evidence: Json) -> str:
    photos = evidence["photos"]
    views = "" if photos["views"] == photos["evidence"] else f", {photos['views']:,} views in all"
    told = f"Each file answered the same {times(photos['evidence'], 'photo')} as the original{views}. "
    return told + escape(str(evidence.get("method") or ""))


def _skipped(skipped: Sequence[Json]) -> str:
    if not skipped:
        return "<p>No photo was skipped.</p>"
    lines = "".join(
        f"<li><code>{escape(one['path'])}</code> {escape(one['error']['message'])}</li>" for one in skipped
    )
    count = times(len(skipped), "photo")
    return f"<details><summary>{count} skipped</summary><ul class=skipped>{lines}</ul></details>"


def _facts(evidence: Json, runs: Mapping[str, Json]) -> str:
    host = evidence["host"]
    libraries = dict(host.get("libraries") or {})
    infos = [run["info"] for run in runs.values() if run["info"]]
    engines = {" ".join(str(info.get(key, "")) for key in ("name", "version", "provider")) for info in infos}
    memory = known(host.get("memory_mb"))
    facts: tuple[tuple[str, object], ...] = (
        *((title, host.get(title.lower())) for title in ("Processor", "Board", "Cores", "Kernel", "Python")),
        ("Instruction sets", ", ".join(host.get("isa") or ())),
        ("Memory", None if memory is None else f"{memory / 1e3:.1f} GB"),
        ("Frequency governor", host.get("governor")),
        ("edgeproof", libraries.pop("edgeproof", None)),
        ("Engine", ", ".join(sorted(engines))),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())),
        ("Seed", evidence["seed"]),
        ("Duration of the fit", unit(evidence["seconds"], "s")),
        ("Bundle", evidence["bundle"] or "none: nothing was chosen"),
    )
    unknown = '<span class="none">not known</span>'
    return "".join(
        f"<div><dt>{name}</dt><dd>{unknown if value in (None, '') else escape(str(value))}</dd></div>"
        for name, value in facts
    )
