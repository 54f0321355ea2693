"""The page that shows what `fit` found: the answer first, then why, then how it was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from edgeproof.core.budget import METRICS, Budget
from edgeproof.core.errors import BudgetError, BundleError
from edgeproof.fit.plots import Point, Spread, marker, scatter, spreads
from edgeproof.fit.verdicts import PERCENTILES
from edgeproof.measure.statistics import minimum_runs, percentile_interval

Row = Mapping[str, Any]

_UNKNOWN = '<span class="none">not measured</span>'
_SIGNS = {"pass": "✓", "fail": "✗", "not enough evidence": "?", "not measured": "–"}
_ORDER = {"chosen": 0, "ok": 1, "refused": 2}
_TERMS = (
    ("95 % interval", "where the true value lies, as far as this sample tells: an interval made in this way holds it 19 times in 20. Two candidates whose intervals overlap widely can't be told apart."),
    ("Not measured", "nothing here could read it (no energy sensor, or it never ran). It is never the same as 0."),
    ("n/a (needs 662 runs, had 45)", "a percentile is told only where there are enough runs to bear it: 11 for p50, 64 for p90, 662 for p99 (the early-stopping rule of MLPerf Inference). Candidates that were plainly not the fastest get only a few runs."),
    ("Not enough evidence", "the 95 % interval reaches over the limit, so neither pass nor fail is proven; beside it stands what would settle it."),
    ("Refused, failed", "refused: it works and must not ship, for the reason given. Failed: it could not be built or run."),
    ("Time against the original", "the original’s time is 1×, less is faster. Compared round by round, so that what disturbed the machine cancels."),
    ("Drop", "accuracy lost against the original on the same photos, in percentage points; below 0, more answers were right than before. “Same outputs”: it computes the same, so there is nothing to estimate."),
    ("Peak memory, cold start", "the most physical memory its process held at any time (VmHWM), in MB of 10⁶ bytes; and the time from starting a process to its first result."),
)  # fmt: skip


def render(evidence: Mapping[str, Any]) -> str:
    """One self-contained HTML page from a bundle's evidence: no network, no script.

    Arguments:
        evidence: as `FitResult.evidence()` makes it and evidence.json keeps it.

    Raises:
        BundleError: it is not the evidence of a fit, or parts of it are missing.
    """
    try:
        return _page(evidence)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BundleError(
            f"The evidence can't be shown: it is not what a fit writes ({type(error).__name__}: {error}).",
            hint="Fit again to make a whole bundle; edgeproof check BUNDLE tells if a file was changed.",
        ) from error


def _page(evidence: Mapping[str, Any]) -> str:
    rows = sorted(evidence["candidates"], key=lambda row: _place(row, evidence["chosen"]))
    runs = {run["id"]: run for run in evidence["runs"]}
    style = files("edgeproof.fit").joinpath("report.css").read_text(encoding="utf-8")
    sections = (
        _answer(evidence, rows),
        _verdicts(evidence),
        _plots(evidence, rows, runs),
        _candidates(evidence, rows, runs),
        _method(evidence, runs),
    )
    title = f"{evidence['target']}: {evidence['chosen'] or 'nothing meets the budget'} · edgeproof"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )


def _state(row: Row, chosen: str | None) -> str:
    return "chosen" if row["id"] == chosen else str(row["status"])


def _place(row: Row, chosen: str | None) -> tuple[int, float]:
    return _ORDER.get(_state(row, chosen), 3), _known(row["latency_ms"]["p50"], math.inf)


def _answer(evidence: Mapping[str, Any], rows: Sequence[Row]) -> str:
    chosen, verdicts = evidence["chosen"], evidence["budget"]
    shown = chosen or (verdicts[0]["candidate"] if verdicts else None)
    row = next((row for row in rows if row["id"] == shown), None)
    baseline = next((row for row in rows if row["id"] == evidence["baseline"]), None)
    clauses = "".join(f"<code>{escape(text.strip())}</code> " for text in evidence["asked"].split(","))
    counts = _counts(rows)
    lead = f'<code class="name">{escape(shown)}</code>' if shown else ""
    if chosen and chosen == evidence["baseline"]:
        headline, why = (
            "The original itself is the choice",
            "No candidate that meets the budget is measurably faster.",
        )
    elif chosen:
        headline, why = (
            "The budget is met",
            "The fastest candidate that meets every clause; where times can’t be told apart, the smallest.",
        )
    else:
        headline = "Nothing meets the budget"
        why = (
            "The candidate that came nearest. Loosen what fails, or give more photos where evidence is missing."
            if shown
            else "No candidate could be measured; the table below says why."
        )
    return (
        f'<header class="{"met" if chosen else "unmet"}"><p class="eyebrow">edgeproof fit · {escape(evidence["target"])}</p><h1>{headline}</h1>'
        f'<p class="asked">Asked: {clauses}</p>'
        f'<div class="answer"><p class="choice"><span>{"Chosen" if chosen else "Nearest" if shown else ""}</span>{lead}</p><p>{why}</p></div>'
        f"{_tiles(row, baseline) if row and baseline else ''}"
        f'<p class="note">{counts} <strong>Times are of the bare network, one picture at a time</strong>: '
        "reading, decoding and resizing the picture come on top.</p></header>"
    )


def _counts(rows: Sequence[Row]) -> str:
    found = [row["status"] for row in rows]
    parts = [
        f"{found.count(status)} {status}" for status in dict.fromkeys(["ok", "refused", "failed", *found])
    ]
    return escape(f"{len(rows)} candidates: {', '.join(parts)}.")


def _tiles(row: Row, baseline: Row) -> str:
    tiles = []
    p50 = f"median {_ms(row['latency_ms']['p50'])} against {_ms(baseline['latency_ms']['p50'])}"
    threads = f"{_threads(row)} against {_threads(baseline)}"
    if row["ratio"] and row is not baseline:
        low, high = (1 / end if (end := _known(value)) else math.inf for value in reversed(row["ratio"][1:]))
        tiles.append(
            (
                "Speed",
                f"{1 / row['ratio'][0]:.2f}×",
                f"as fast as the original{_interval((low, high))}; {p50}; {threads}",
            )
        )
    else:
        tiles.append(("Median time", _ms(row["latency_ms"]["p50"]), _threads(row)))
    for name, key in (("File size", "size_mb"), ("Peak memory", "rss_mb")):
        share = (
            _known(row[key]) / _known(baseline[key]) if _known(row[key]) and _known(baseline[key]) else None
        )
        told = (
            f"{share:.0%} of the original’s {_unit(baseline[key], 'MB')}"
            if share and row is not baseline
            else ""
        )
        tiles.append((name, _unit(row[key], "MB"), told))
    metric = row["metric"]
    if metric:
        told = (
            "same outputs as the original"
            if metric["same_outputs"]
            else f"95 % interval {_range(metric['ci'], 100)} %, on {_count(metric['n'])} photos"
        )
        rates = f"{_percent(metric['value'])} against {_percent(metric['baseline'])}"
        tiles.append(
            (f"Drop in {escape(metric['name'])}", f"{_signed(metric['drop'])} %", f"{told}; {rates}")
        )
    else:
        tiles.append(("Drop in accuracy", _UNKNOWN, ""))
    return (
        '<dl class="tiles">'
        + "".join(f"<div><dt>{a}</dt><dd><b>{b}</b> <span>{c}</span></dd></div>" for a, b, c in tiles)
        + "</dl>"
    )


def _verdicts(evidence: Mapping[str, Any]) -> str:
    if not evidence["budget"]:
        return "<section><h2>The budget, clause by clause</h2><p>No candidate could be judged: none was measured.</p></section>"
    lines = "".join(_verdict(one) for one in evidence["budget"])
    held = any(one["candidate"] != evidence["chosen"] for one in evidence["budget"]) and evidence["chosen"]
    note = (
        "<p>A row with another candidate’s name shows what kept a faster one from being chosen.</p>"
        if held
        else ""
    )
    head = _head("Clause", "Verdict", ">Value", ">95 % interval", ">Room to the limit", "Candidate")
    return f"<section><h2>The budget, clause by clause</h2>{note}{_scroll('The budget’s verdicts', head, lines)}</section>"


def _verdict(one: Row) -> str:
    scale, unit = (1, one["unit"]) if one["unit"] else (100, "%")
    value, margin = _known(one["value"]), _known(one["margin"])
    shown = _UNKNOWN if value is None else f"{_number(value * scale)} {escape(unit)}"
    if value is None and one["needed"]:
        shown = '<span class="none">n/a</span>'
    ci = f"{_range(one['ci'], scale)} {escape(unit)}" if one["ci"] else '<span class="none">none</span>'
    room = (
        '<span class="none">unknown</span>'
        if margin is None
        else f"{margin:.0%} of it left"
        if margin >= 0
        else f"{-margin:.0%} over"
    )
    if margin is not None and margin > 1:
        room = "more than all of it"
    needed = (
        f"<small>needs {escape(one['needed'])}</small>" if one["needed"] and one["verdict"] != "pass" else ""
    )
    name = one["clause"].replace(">", "<").split("<")[0]
    meaning = f"<small>{METRICS[name].meaning}</small>" if name in METRICS else ""
    return (
        f'<tr><th scope="row"><code>{escape(one["clause"])}</code>{meaning}</th><td>{_badge(one["verdict"])}{needed}</td>'
        f"<td class=num>{shown}</td><td class=num>{ci}</td><td class=num>{room}</td><td><code>{escape(one['candidate'])}</code></td></tr>"
    )


def _badge(verdict: str) -> str:
    kind = verdict.replace(" ", "-") if verdict in _SIGNS else "other"
    return f'<span class="badge {kind}"><span aria-hidden="true">{_SIGNS.get(verdict, "")}</span> {escape(verdict)}</span>'


def _candidates(evidence: Mapping[str, Any], rows: Sequence[Row], runs: Mapping[str, Row]) -> str:
    head = _head(
        "#",
        "Candidate",
        ">p50 ms",
        ">p90 ms",
        ">p99 ms",
        ">Time against the original",
        ">Drop",
        ">Accuracy",
        ">File MB",
        ">Peak memory MB",
        ">Cold start s",
        ">Runs",
    )
    lines = "".join(
        _candidate(number, row, evidence, runs.get(row["id"])) for number, row in enumerate(rows, 1)
    )
    return f"<section><h2>All candidates</h2><p>In the order of their median times; refused ones after those that could ship. Small figures are 95 % intervals.</p>{_scroll('All candidates', head, lines)}</section>"


def _candidate(number: int, row: Row, evidence: Mapping[str, Any], run: Row | None) -> str:
    state, n = _state(row, evidence["chosen"]), row["n"]
    status = f'<span class="badge {escape(state)}">{escape(state)}</span>'
    if row["id"] == evidence["baseline"]:
        status += ' <span class="badge">original</span>'
    reason = f'<p class="reason">{escape(row["reason"])}</p>' if row["reason"] else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in row["notes"])
    details = f"<details><summary>How it was made</summary><ul>{notes}</ul></details>" if notes else ""
    metric, ratio = row["metric"], row["ratio"]
    cells = [_percentile(row["latency_ms"][name], name, n) for name in ("p50", "p90", "p99")]
    if row["id"] == evidence["baseline"]:
        cells.append("1×")
    else:
        cells.append(f"{ratio[0]:.2f}×<small>{_range(ratio[1:])}</small>" if ratio else _UNKNOWN)
    if metric and metric["same_outputs"]:
        cells.append("0 %<small>same outputs</small>")
    else:
        cells.append(
            f"{_signed(metric['drop'])} %<small>{_range(metric['ci'], 100)}</small>" if metric else _UNKNOWN
        )
    cells.append(_percent(metric["value"]) if metric else _UNKNOWN)
    cells += [_figure(row["size_mb"]), _figure(row["rss_mb"]), _figure(row["cold_s"])]
    processes = (
        f"<small>{_times(len(run['cold_s']), 'process', 'processes')}, {_times(len(run['blocks_ms']), 'round')}</small>"
        if run and n
        else ""
    )
    cells.append(f"{n:,}{processes}" if n else _UNKNOWN)
    how = ", ".join(
        str(part) for part in (row["engine"], row["precision"], row["quantizer"], _threads(row)) if part
    )
    return (
        f'<tr class="{escape(state)}"><td class=num>{number}</td><th scope="row"><code>{escape(row["id"])}</code> {status}<small>{escape(how)}</small>{reason}{details}</th>'
        + "".join(f"<td class=num>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _percentile(value: Any, name: str, n: int) -> str:
    if _known(value) is not None or not n:
        return _figure(value)
    return f'<span class="none">n/a</span><small>needs {minimum_runs(PERCENTILES[name]):,} runs, had {n:,}</small>'


def _plots(evidence: Mapping[str, Any], rows: Sequence[Row], runs: Mapping[str, Row]) -> str:
    families = list(dict.fromkeys(row["precision"] for row in evidence["candidates"]))
    points, spread, absent = [], [], []
    for number, row in enumerate(rows, 1):
        p50, blocks = _known(row["latency_ms"]["p50"]), _blocks(runs.get(row["id"]))
        state = {"chosen": "chosen", "ok": "ok"}.get(_state(row, evidence["chosen"]), "refused")
        label = (
            f"{number} chosen"
            if state == "chosen"
            else f"{number} original"
            if row["id"] == evidence["baseline"]
            else f"{number}"
        )
        if blocks:
            spread.append(_spread(number, row, state, blocks))
        if p50 is None:
            absent.append(number)
            continue
        interval = percentile_interval(blocks, 0.5) if blocks else None
        points.append(
            (row, Point(label, "", p50, 0.0, interval, None, families.index(row["precision"]), state))
        )
    if not points:
        return "<section><h2>The picture</h2><p>Nothing to draw: no candidate has enough runs for a median.</p></section>"
    xs = [end for _, point in points for end in (point.x, *(point.x_range or ()))]
    drops = [
        _moved(point, row, 100 * row["metric"]["drop"], "% drop", row["metric"]["ci"])
        for row, point in points
        if row["metric"]
    ]
    sizes = [
        _moved(point, row, row["size_mb"], "MB", None) for row, point in points if _known(row["size_mb"])
    ]
    limit = _drop_limit(evidence["asked"])
    line = (100 * limit, f"limit {_number(100 * limit)} %") if limit is not None else None
    legend = "".join(
        f"<li>{_key(index, 'ok')} {escape(str(name))}</li>" for index, name in enumerate(families)
    )
    legend += f"<li>{_key(0, 'chosen')} chosen</li><li>{_key(0, 'refused')} hollow: refused or failed</li>"
    unseen = [str(number) for number, row in enumerate(rows, 1) if number not in absent and not row["metric"]]
    left_out = (
        f"<p>Without a measured drop, so not in the first plot: {_numbers(unseen)}.</p>" if unseen else ""
    )
    left_out += (
        f"<p>Without a median time, so in neither: {_numbers([str(one) for one in absent])}.</p>"
        if absent
        else ""
    )
    return (
        "<section><h2>The picture</h2><p>Down and to the left is better. Numbers are those of the table; bars are 95 % intervals.</p>"
        f'<ul class="legend">{legend}</ul><div class="pair"><figure><figcaption>Accuracy lost against time</figcaption>'
        + scatter(
            "Accuracy drop in % against median time in ms; the table has the same figures",
            "median time, ms",
            "accuracy drop, %",
            drops,
            xs,
            limit=line,
            signed=True,
        )
        + "</figure><figure><figcaption>File size against time</figcaption>"
        + scatter(
            "File size in MB against median time in ms; the table has the same figures",
            "median time, ms",
            "file size, MB",
            sizes,
            xs,
        )
        + f'</figure></div>{left_out}<h3>Every run of every candidate</h3><p>How its times spread; the higher, the more runs took that long. Lines: p50, p90, p99 where there are enough runs to tell them. Nothing is trimmed.</p><div class="spreads">{spreads(spread)}</div></section>'
    )


def _moved(point: Point, row: Row, y: float, unit: str, ci: Sequence[Any] | None) -> Point:
    ends = (100 * _known(ci[0], -math.inf), 100 * _known(ci[1], math.inf)) if ci and ci[0] != ci[1] else None
    detail = f"{row['id']}: {_ms(point.x)}, {_number(y)} {unit}"
    return Point(point.label, detail, point.x, y, point.x_range, ends, point.family, point.state)


def _spread(number: int, row: Row, state: str, blocks: Sequence[Sequence[float]]) -> Spread:
    values = [value for block in blocks for value in block]
    marks = [value for value in row["latency_ms"].values() if _known(value)]
    name = f"<b>{number}</b> <code>{escape(row['id'])}</code> <small>{_times(len(values), 'run')}, {_number(min(values))} to {_number(max(values))} ms</small>"
    told = (
        ", ".join(f"{key} {_ms(value)}" for key, value in row["latency_ms"].items() if _known(value))
        or "no percentile can be told"
    )
    return Spread(
        name,
        f"{row['id']}: {told}; {_number(min(values))} to {_number(max(values))} ms in {len(values):,} runs",
        values,
        marks,
        state,
    )


def _blocks(run: Row | None) -> list[list[float]]:
    blocks = (
        [[value for value in block if _known(value, 0.0) > 0] for block in run["blocks_ms"]] if run else []
    )
    return [block for block in blocks if block]


def _key(family: int, state: str) -> str:
    return f'<svg class="key" viewBox="0 0 24 24" aria-hidden="true">{marker(family, state, 12, 12)}</svg>'


def _drop_limit(asked: str) -> float | None:
    try:
        # The comma keeps a text that ends in .toml from being taken for a file to open.
        clause = Budget.parse(asked + ",").get("drop")
    except BudgetError:
        return None
    return clause.limit if clause else None


def _method(evidence: Mapping[str, Any], runs: Mapping[str, Row]) -> str:
    host, photos = evidence["host"], evidence["photos"]
    processes = _span([len(run["cold_s"]) for run in runs.values()])
    rounds = _span([len(run["blocks_ms"]) for run in runs.values()])
    total = sum(len(block) for run in runs.values() for block in run["blocks_ms"])
    libraries = dict(host.get("libraries") or {})
    version = libraries.pop("edgeproof", None)
    engines = {
        " ".join(str(run["info"].get(key, "")) for key in ("name", "version", "provider"))
        for run in runs.values()
        if run["info"]
    }
    memory = _known(host.get("memory_mb"))
    facts: list[tuple[str, Any]] = [
        ("Processor", host.get("processor")), ("Board", host.get("board")), ("Usable cores", host.get("cores")),
        ("Instruction sets", ", ".join(host.get("isa") or ())), ("Memory", f"{memory / 1e3:.1f} GB" if memory else None),
        ("Frequency governor", host.get("governor")), ("Kernel", host.get("kernel")), ("Python", host.get("python")),
        ("Engine", "; ".join(sorted(engines))), ("Libraries", ", ".join(f"{name} {number}" for name, number in libraries.items())),
        ("edgeproof", version), ("Seed", evidence["seed"]), ("Whole fit", f"{evidence['seconds']:,.0f} s"), ("Bundle", evidence["bundle"]),
    ]  # fmt: skip
    listed = "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(value)) if value not in (None, '') else '<span class=none>not known</span>'}</dd></div>"
        for name, value in facts
    )
    skipped = photos["skipped"]
    why = "".join(
        f"<li><code>{escape(one['path'])}</code> {escape(one['error']['message'])}</li>" for one in skipped
    )
    left = (
        f"<details><summary>{_times(len(skipped), 'photo')} skipped, with the reasons</summary><ul class=skipped>{why}</ul></details>"
        if skipped
        else "<p>No photo had to be skipped.</p>"
    )
    calibration = (
        f"{photos['calibration']:,} other photos set the ranges of the INT8 files; none of them is evidence."
        if photos["calibration"]
        else "There were too few photos to set any aside for calibrating INT8 files."
    )
    terms = "".join(f"<div><dt>{name}</dt><dd>{meaning}</dd></div>" for name, meaning in _TERMS)
    return (
        "<section><h2>How it was measured</h2>"
        f"<p><b>Time and memory.</b> Each candidate ran in fresh processes of its own ({processes} each), and only one worked at a time. In each round all of them took turns, in shuffled order, with a short block of runs, so that whatever disturbed the machine met all alike ({rounds} rounds, {total:,} runs in all). After a first race only the original and those that might be the fastest went on. All raw times are kept in the bundle’s evidence.json.</p>"
        f"<p><b>Accuracy.</b> Each file answered the same {photos['views']:,} views of {photos['evidence']:,} photos as the original, and was compared with it answer by answer (paired). The views of one photo are not independent, and the intervals allow for that. {calibration} {_times(photos['duplicates'], 'duplicate')} left out.</p>{left}"
        f"<p><b>Energy.</b> {'Not measured: no sensor was read.' if all(row['energy_mj'] is None for row in evidence['candidates']) else 'See the evidence.'}</p>"
        f'<dl class="facts">{listed}</dl></section><section><h2>What the words mean</h2><dl class="terms">{terms}</dl></section>'
    )


def _scroll(label: str, head: str, lines: str) -> str:
    # Who has no mouse scrolls a focused box with the arrow keys.
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _head(*titles: str) -> str:
    return "".join(
        f'<th scope="col"{" class=num" if title[0] == ">" else ""}>{title.lstrip(">")}</th>'
        for title in titles
    )


def _known(value: Any, otherwise: Any = None) -> Any:
    """The value if it is a finite number; JSON has null for what is unknown or infinite."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else otherwise


def _number(value: float) -> str:
    """Three figures that count."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{min(max(digits, 0), 4)}f}".replace("-", "−")


def _figure(value: Any) -> str:
    return _UNKNOWN if _known(value) is None else _number(value)


def _unit(value: Any, unit: str) -> str:
    return _UNKNOWN if _known(value) is None else f"{_number(value)} {unit}"


def _ms(value: Any) -> str:
    return "n/a" if _known(value) is None else f"{_number(value)} ms"


def _percent(value: Any) -> str:
    return _UNKNOWN if _known(value) is None else f"{100 * value:.1f} %"


def _signed(fraction: Any) -> str:
    if _known(fraction) is None:
        return "n/a"
    return "0.0" if round(100 * fraction, 1) == 0 else f"{100 * fraction:+.1f}".replace("-", "−")


def _range(ends: Iterable[Any], scale: float = 1) -> str:
    low, high = (_known(end) for end in ends)
    texts = ["" if end is None else _number(end * scale) for end in (low, high)]
    if not all(texts):
        return f"{texts[0]} or more" if texts[0] else f"up to {texts[1]}" if texts[1] else "no bounds"
    return f"{texts[0]} to {texts[1]}"


def _interval(ends: tuple[float, float]) -> str:
    return f" (95 % interval {_range(ends)})"


def _count(value: Any) -> str:
    return "?" if _known(value) is None else f"{value:,}"


def _times(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _threads(row: Row) -> str:
    return _times(row["threads"], "thread")


def _numbers(numbers: Sequence[str]) -> str:
    return ", ".join(numbers)
