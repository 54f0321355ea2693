"""The page that shows what `fit` found: the answer first, then why, then how it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from edgeproof.core.budget import METRICS, Budget
from edgeproof.core.errors import BudgetError, BundleError
from edgeproof.fit.plots import Point, Spread, legend, scatter, spreads
from edgeproof.fit.report_method import method
from edgeproof.fit.verdicts import PERCENTILES
from edgeproof.fit.wording import (
    TOLD,
    UNKNOWN,
    badge,
    drop,
    interval,
    known,
    metric_name,
    percent,
    plain,
    signed,
    threads,
    times,
    unit,
)
from edgeproof.measure.statistics import minimum_runs, percentile_interval

Json = Mapping[str, Any]

_ORDER = {"chosen": 0, "ok": 1, "refused": 2}


def render(evidence: Json) -> str:
    """One self-contained HTML page from a bundle's evidence: no network, no script.

    Arguments:
        evidence: as `FitResult.evidence()` makes it and evidence.json keeps it.

    Raises:
        BundleError: it is not the evidence of a fit, or parts of it are missing.
    """
    try:
        return _page(evidence)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise BundleError(
            f"The evidence can't be shown: it is not what a fit writes ({type(error).__name__}: {error}).",
            hint="Fit again; edgeproof check BUNDLE tells whether a file of the bundle was changed.",
        ) from error


def _page(evidence: Json) -> str:
    chosen, beside = evidence["chosen"], files("edgeproof.fit")
    rows = sorted(evidence["candidates"], key=lambda row: _place(row, chosen))
    runs = {run["id"]: run for run in evidence["runs"]}
    page = Template(beside.joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{evidence['target']}: {chosen or 'nothing meets the budget'} · edgeproof"),
        style=beside.joinpath("report.css").read_text(encoding="utf-8"),
        target=escape(evidence["target"]),
        asked=" ".join(f"<code>{escape(text.strip())}</code>" for text in evidence["asked"].split(",")),
        counts=_counts(rows),
        metric=_heading(_metrics(rows)),
        verdicts=_verdicts(evidence),
        plots=_plots(evidence, rows, runs),
        candidates="\n".join(
            _candidate(number, row, evidence, runs.get(row["id"])) for number, row in enumerate(rows, 1)
        ),
        **_answer(evidence, rows),
        **method(evidence, runs),
    )
    # A file name that is not UTF-8 comes with lone surrogates, which no page can hold.
    return page.encode("utf-8", "replace").decode("utf-8")


def _place(row: Json, chosen: str | None) -> tuple[int, float]:
    return _ORDER.get(_state(row, chosen), 3), known(row["latency_ms"]["p50"], math.inf)


def _state(row: Json, chosen: str | None) -> str:
    return "chosen" if row["id"] == chosen else str(row["status"])


def _metrics(rows: Sequence[Json]) -> list[str]:
    """The names of the metrics that the candidates were judged by."""
    return list(dict.fromkeys(str(row["metric"]["name"]) for row in rows if row["metric"]))


def _heading(names: Sequence[str]) -> str:
    name = metric_name(names[0]) if len(names) == 1 else "metric"
    return escape(name if name != name.lower() else name.capitalize())


def _counts(rows: Sequence[Json]) -> str:
    found = [row["status"] for row in rows]
    parts = [f"{found.count(one)} {one}" for one in dict.fromkeys(["ok", "refused", "failed", *found])]
    return escape(f"{times(len(rows), 'candidate')}: {', '.join(parts)}.")


def _answer(evidence: Json, rows: Sequence[Json]) -> dict[str, str]:
    chosen, verdicts = evidence["chosen"], evidence["budget"]
    shown = chosen or (verdicts[0]["candidate"] if verdicts else None)
    row = next((row for row in rows if row["id"] == shown), None)
    baseline = next((row for row in rows if row["id"] == evidence["baseline"]), None)
    if chosen and chosen == evidence["baseline"]:
        headline = "The original itself is the choice"
        why = "No candidate that meets the budget is measurably faster."
    elif chosen:
        headline = "The budget is met"
        why = "The fastest that meets every clause; where times can’t be told apart, the smallest file."
    else:
        headline = "Nothing meets the budget"
        why = "It came nearest. Loosen what fails, or give more photos or runs where evidence is missing."
        if not row:
            why = "No candidate could be measured; the reasons stand in the table below."
    role = "Chosen" if chosen else "Nearest"
    return {
        "outcome": "met" if chosen else "unmet",
        "headline": headline,
        "why": why,
        "choice": f'<p class="choice"><span>{role}</span><code>{escape(shown)}</code></p>' if shown else "",
        "tiles": _tiles(row, baseline) if row and baseline else "",
    }


def _tiles(row: Json, baseline: Json) -> str:
    itself = row["id"] == baseline["id"]
    tiles: list[tuple[str, str, list[str]]] = []
    p50, before = (unit(one["latency_ms"]["p50"], "ms", "n/a") for one in (row, baseline))
    if row["ratio"] and known(row["ratio"][0]) and not itself:
        share, *ends = row["ratio"]
        ends = [1 / end if known(end, 0.0) else math.inf for end in reversed(ends)]
        lines = [
            "as fast as the original",
            f"95 % interval {interval(ends, plain)}",
            f"median {p50} against {before}",
            f"{threads(row)} against {baseline['threads']}",
        ]
        tiles.append(("Speed", f"{1 / share:.2f}×", lines))
    else:
        tiles.append(("Median time", p50, [threads(row)]))
    for name, key in (("File size", "size_mb"), ("Peak memory", "rss_mb")):
        lines = []
        if known(row[key]) and known(baseline[key]) and not itself:
            share = f"{100 * row[key] / baseline[key]:.0f} %"
            lines = [f"{share} of the original’s {unit(baseline[key], 'MB')}"]
        tiles.append((name, unit(row[key], "MB"), lines))
    if metric := row["metric"]:
        told = f"95 % interval {interval(metric['ci'], signed)} %"
        rates = f"{percent(metric['value'])}, the original {percent(metric['baseline'])}"
        lines = ["same outputs as the original" if metric["same_outputs"] else told, rates]
        lines += [
            f"{escape(metric_name(one['name']))}: {drop(one['drop'])}" for one in metric.get("others", ())
        ]
        tiles.append((f"Drop in {escape(metric_name(metric['name']))}", drop(metric["drop"]), lines))
    else:
        tiles.append(("Drop in accuracy", UNKNOWN, []))
    shown = (
        f"<div><dt>{name}</dt><dd><b>{value}</b>{''.join(f'<span>{line}</span> ' for line in lines)}</dd></div>"
        for name, value, lines in tiles
    )
    return f'<dl class="tiles">{"".join(shown)}</dl>'


def _verdicts(evidence: Json) -> str:
    budget, chosen = evidence["budget"], evidence["chosen"]
    if not budget:
        return "<p>No candidate could be judged: none was measured.</p>"
    held = chosen and any(one["candidate"] != chosen for one in budget)
    note = "<p>A row of another candidate says what kept a faster one from being chosen.</p>" if held else ""
    head = "".join(
        f'<th scope="col"{" class=num" if title in ("Value", "95 % interval", "Room left") else ""}>{title}</th>'
        for title in ("Clause", "Verdict", "Value", "95 % interval", "Room left", "Candidate")
    )
    return (
        f'{note}<div class="scroll" role="region" tabindex="0" aria-label="The budget’s verdicts">'
        f'<table class="budget"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(map(_verdict, budget))}</tbody></table></div>"
    )


def _verdict(one: Json) -> str:
    # The one metric without a unit is the drop, a fraction.
    told, of = (plain, escape(one["unit"])) if one["unit"] else (signed, "%")
    value, margin = known(one["value"]), known(one["margin"])
    if value is not None:
        shown = f"{told(value)} {of}"
    else:
        shown = '<span class="none">n/a</span>' if one["needed"] else UNKNOWN
    ci = f"{interval(one['ci'], told)} {of}" if one["ci"] else '<span class="none">none</span>'
    if margin is None:
        room = '<span class="none">not known</span>'
    else:
        room = f"{100 * margin:.0f} % of the limit" if margin >= 0 else f"over by {-100 * margin:.0f} %"
    needed = one["needed"] if one["verdict"] != "pass" else None
    needs = f"<small>needs {escape(needed)}</small>" if needed else ""
    name = one["clause"].replace(">", "<").split("<")[0]
    # Of a few cold starts there is no interval: the verdict rests on the fastest and the slowest.
    ci += "<small>fastest to slowest process</small>" if name == "cold" and one["ci"] else ""
    meaning = f"<small>{METRICS[name].meaning}</small>" if name in METRICS else ""
    return (
        f'<tr><th scope="row"><code>{escape(one["clause"])}</code>{meaning}</th>'
        f"<td>{badge(one['verdict'])}{needs}</td>"
        f"<td class=num>{shown}</td><td class=num>{ci}</td><td class=num>{room}</td>"
        f"<td><code>{escape(one['candidate'])}</code></td></tr>"
    )


def _candidate(number: int, row: Json, evidence: Json, run: Json | None) -> str:
    state, n, itself = _state(row, evidence["chosen"]), row["n"], row["id"] == evidence["baseline"]
    notes = "".join(f"<li>{escape(note)}</li>" for note in row["notes"])
    parts = (row["engine"], row["precision"], row["quantizer"], threads(row))
    heading = (
        f"<code>{escape(row['id'])}</code> {badge(state)} {badge('original') if itself else ''}"
        f"<small>{escape(', '.join(str(part) for part in parts if part))}</small>"
        + (f'<p class="reason">{escape(row["reason"])}</p>' if row["reason"] else "")
        + (f"<details><summary>How it was made</summary><ul>{notes}</ul></details>" if notes else "")
    )
    cells = [_percentile(row["latency_ms"][name], name, n) for name in TOLD]
    mixed = len(_metrics(evidence["candidates"])) > 1
    ratio, metric = row["ratio"], row["metric"]
    if itself or not ratio or known(ratio[0]) is None:
        cells.append("1×" if itself else UNKNOWN)
    else:
        cells.append(f"{ratio[0]:.2f}×<small>{interval(ratio[1:], plain)}</small>")
    if metric:
        seen = "same outputs" if metric["same_outputs"] else interval(metric["ci"], signed)
        name = f"<small>{escape(metric_name(metric['name']))}</small>" if mixed else ""
        cells += [f"{drop(metric['drop'])}<small>{seen}</small>", percent(metric["value"]) + name]
    else:
        cells += [UNKNOWN, UNKNOWN]
    cells += [unit(row[key]) for key in ("size_mb", "rss_mb", "cold_s")]
    rounds = ""
    if run and n:
        processes = times(len(run["cold_s"]), "process", "processes")
        rounds = f"<small>{processes}<br>{times(len(run['blocks_ms']), 'round')}</small>"
    cells.append(f"{n:,}{rounds}" if n else UNKNOWN)
    return (
        f'<tr class="{escape(state)}"><td class=num>{number}</td><th scope="row">{heading}</th>'
        f"{''.join(f'<td class=num>{cell}</td>' for cell in cells)}</tr>"
    )


def _percentile(value: Any, name: str, n: int) -> str:
    if known(value) is not None or not n:
        return unit(value)
    needed = minimum_runs(PERCENTILES[name])
    return f'<span class="none">n/a</span><small>needs {needed:,},<br>had {n:,}</small>'


def _plots(evidence: Json, rows: Sequence[Json], runs: Mapping[str, Json]) -> str:
    families = list(dict.fromkeys(str(row["precision"]) for row in evidence["candidates"]))
    drawn: list[tuple[Json, Point]] = []
    spread: list[Spread] = []
    for number, row in enumerate(rows, 1):
        state = _state(row, evidence["chosen"])
        state = state if state in ("chosen", "ok") else "refused"
        blocks, p50 = _blocks(runs.get(row["id"])), known(row["latency_ms"]["p50"])
        if blocks:
            spread.append(_spread(number, row, state, [value for block in blocks for value in block]))
        if p50 is not None:
            name = (
                " chosen" if state == "chosen" else " original" if row["id"] == evidence["baseline"] else ""
            )
            bar = percentile_interval(blocks, 0.5) if blocks else None
            family = families.index(str(row["precision"]))
            drawn.append((row, Point(f"{number}{name}", row["id"], p50, 0.0, bar, None, family, state)))
    pair = _pair(evidence, families, drawn) if drawn else "<p>No candidate has enough runs for a median.</p>"
    timed = {row["id"] for row, _ in drawn}
    both = [row["id"] in timed and _lost(row) is not None for row in rows]
    times_only = [row["id"] in timed for row in rows]
    for plot, places in (
        ("first plot: no time or no drop", both),
        ("second plot: no median time", times_only),
    ):
        absent = [str(number) for number, place in enumerate(places, 1) if not place]
        pair += f"<p>Not in the {plot} was measured: {', '.join(absent)}.</p>" if drawn and absent else ""
    return (
        (
            f"{pair}<h3>Every run of every candidate</h3><p>Taller where more of its runs took that long; nothing is "
            "trimmed. The lines across are p50, p90 and p99, where there are enough runs to tell them.</p>"
            f'<div class="spreads">{spreads(spread)}</div>'
        )
        if spread
        else pair
    )


def _pair(evidence: Json, families: Sequence[str], drawn: Sequence[tuple[Json, Point]]) -> str:
    drops, sizes = [], []
    for row, point in drawn:
        here = f"{row['id']}: {plain(point.x)} ms"
        lost = _lost(row)
        if lost is not None:
            low, high = row["metric"]["ci"] or (None, None)
            bar = (100 * known(low, -math.inf), 100 * known(high, math.inf))
            ends = None if row["metric"]["same_outputs"] else bar
            drops.append(replace(point, y=100 * lost, y_range=ends, detail=f"{here}, drop {drop(lost)}"))
        if known(row["size_mb"]) is not None:
            sizes.append(replace(point, y=row["size_mb"], detail=f"{here}, {unit(row['size_mb'], 'MB')}"))
    xs = [end for _, point in drawn for end in (point.x, *(point.x_range or ()))]
    limit = _drop_limit(evidence["asked"])
    first = scatter(
        "Accuracy drop in % against median time in ms; the same figures are in the table of candidates",
        "median time, ms",
        "accuracy drop, %",
        drops,
        xs,
        limit=None if limit is None else (100 * limit, f"limit {100 * limit:g} %"),
        signed=True,
    )
    second = scatter(
        "File size in MB against median time in ms; the same figures are in the table of candidates",
        "median time, ms",
        "file size, MB",
        sizes,
        xs,
    )
    return (
        "<p>Lower and further left is better. The numbers are those of the table below; bars are 95 % intervals.</p>"
        f'{legend(families)}<div class="pair">'
        f"<figure><figcaption>Accuracy lost, against time</figcaption>{first}</figure>"
        f"<figure><figcaption>File size, against time</figcaption>{second}</figure></div>"
    )


def _lost(row: Json) -> Any:
    return known(row["metric"]["drop"]) if row["metric"] else None


def _spread(number: int, row: Json, state: str, values: Sequence[float]) -> Spread:
    marks = {name: row["latency_ms"][name] for name in TOLD if known(row["latency_ms"][name]) is not None}
    told = ", ".join(f"{name} {plain(value)} ms" for name, value in marks.items())
    reach = f"{times(len(values), 'run')}, {plain(min(values))} to {plain(max(values))} ms"
    name = f"<b>{number}</b> <code>{escape(row['id'])}</code> <small>{reach}</small>"
    detail = f"{row['id']}: {told or 'too few runs for percentiles'}; {reach}"
    return Spread(name, detail, values, list(marks.values()), state)


def _blocks(run: Json | None) -> list[list[float]]:
    if not run:
        return []
    blocks = ([value for value in block if known(value, 0.0) > 0] for block in run["blocks_ms"])
    return [block for block in blocks if block]


def _drop_limit(asked: str) -> float | None:
    try:
        # The comma keeps a text that ends in .toml from being taken for a file to open.
        clause = Budget.parse(asked + ",").get("drop")
    except BudgetError:
        return None
    return clause.limit if clause else None
