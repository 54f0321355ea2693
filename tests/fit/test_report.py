from __future__ import annotations

import copy
import math
import random
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproof.core.errors import BundleError
from edgeproof.fit.report import render

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=y>&amp;$title ${style} {0} %s"
VOID = {"meta", "br", "img", "line", "path", "circle"}


def candidate(id: str, *, p50: float = 5.0, drop: float | None = 0.0, **changes: Any) -> dict[str, Any]:
    metric = None
    if drop is not None:
        metric = {
            "name": "accuracy", "value": 0.73 - drop, "baseline": 0.73, "drop": drop,
            "ci": [drop - 0.013, drop + 0.013], "n": 210, "verdict": "pass", "needed": None,
            "agreement": 0.96, "same_outputs": False, "views_lost": 3, "views_gained": 3, "p_value": 1.0,
            "max_abs": 0.2,
        }  # fmt: skip
    row = {
        "id": id, "engine": "onnxruntime", "precision": "int8", "quantizer": "static-mse", "threads": 1,
        "status": "ok", "reason": None, "latency_ms": {"p50": p50, "p90": p50 * 1.2, "p99": None}, "n": 90,
        "ratio": [p50 / 11.0, p50 / 12.0, p50 / 10.0], "cold_s": 0.31, "rss_mb": 79.3, "size_mb": 2.68,
        "energy_mj": None, "metric": metric, "notes": ["9.6 MB became 2.7 MB."],
    }  # fmt: skip
    return row | changes


def measured(row: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(row["id"])
    typical = row["latency_ms"]["p50"] or 5.0
    return {
        "id": row["id"], "engine": "onnxruntime", "threads": row["threads"],
        "info": {"name": "onnxruntime", "version": "1.20.1", "provider": "CPUExecutionProvider"},
        "cold_s": [0.31], "load_s": [0.1], "first_ms": [7.0],
        "memory_mb": {"load": 60.0, "first": 70.0, "steady": 79.3},
        "blocks_ms": [[typical * chance.uniform(0.9, 1.4) for _ in range(9)] for _ in range(10)],
        "error": None,
    }  # fmt: skip


def verdict(clause: str, found: str, **changes: Any) -> dict[str, Any]:
    row = {"clause": clause, "candidate": "ort-int8-mse-t1", "value": 4.2, "unit": "ms", "ci": [4.1, 4.3]}
    return row | {"margin": 0.5, "verdict": found, "needed": None} | changes


def evidence(**changes: Any) -> dict[str, Any]:
    original = candidate(
        "ort-f32-original-t1", p50=11.0, precision="f32", quantizer=None, size_mb=9.6, ratio=[1.0, 1.0, 1.0],
        rss_mb=119.0, notes=[], latency_ms={"p50": 11.0, "p90": 13.0, "p99": 19.0}, n=1098,
    )  # fmt: skip
    original["metric"] |= {"ci": [0.0, 0.0], "same_outputs": True, "n": None, "p_value": None}
    rows = [
        original,
        candidate("ort-int8-mse-t1", p50=4.2, drop=-0.0036),
        candidate(
            "ort-int8-dynamic-t1", p50=24.8, drop=None, status="refused",
            reason="slower than the original: 2.40x its time (1.95 to 3.18)",
        ),
        candidate(
            "ort-fp16w-t1", p50=8.6, drop=0.0012, status="refused",
            reason="accuracy not proven: drop +0.1 % (-1.7 to +2.0) on 210 photos",
        ),
    ]  # fmt: skip
    document = {
        "target": "orientation", "asked": "p99<20ms, drop<2%", "baseline": "ort-f32-original-t1",
        "chosen": "ort-int8-mse-t1", "feasible": True, "candidates": rows,
        "budget": [
            verdict("p99<20ms", "pass"),
            verdict("drop<2%", "pass", value=-0.0036, unit="", ci=[-0.0167, 0.0091], margin=1.18),
        ],
        "bundle": "orientation.edge", "report": "orientation.report.html",
        "photos": {"evidence": 210, "calibration": 40, "views": 840, "duplicates": 2, "skipped": []},
        "host": {
            "board": None, "processor": "Cortex-A76", "isa": ["neon", "dotprod"], "cores": 4,
            "memory_mb": 8000, "governor": "ondemand", "kernel": "6.6", "python": "3.11.2",
            "libraries": {"edgeproof": "0.1.0", "numpy": "2.1.0", "onnxruntime": "1.20.1"},
        },
        "seconds": 141.6, "seed": 0, "runs": [measured(row) for row in rows],
    }  # fmt: skip
    return document | changes


def infeasible() -> dict[str, Any]:
    needed = "about 1,240 photos, had 210"
    return evidence(
        chosen=None, feasible=False, bundle=None,
        budget=[
            verdict("p99<2ms", "fail", margin=-1.1),
            verdict("p999<9ms", "not enough evidence", value=None, ci=None, margin=None, needed="6,636 runs, had 90"),
            verdict("cold<1s", "pass", value=310.0, ci=[300.0, 320.0]),
            verdict("energy<50mJ", "not measured", value=None, ci=None, margin=None, unit="mJ"),
            verdict("drop<0.5%", "not enough evidence", value=0.001, unit="", ci=[-0.01, 0.01], needed=needed),
        ],
    )  # fmt: skip


def failed() -> dict[str, Any]:
    nothing = {
        "status": "failed", "reason": "The process died: signal 9.", "latency_ms": dict.fromkeys(("p50", "p90", "p99")),
        "n": 0, "ratio": None, "cold_s": None, "rss_mb": None, "size_mb": None, "drop": None, "notes": [],
    }  # fmt: skip
    document = evidence()
    document["candidates"] += [
        candidate("ort-never-built-t1", **nothing),
        candidate("ort-died-t1", **nothing),
        candidate("ort-left-out-t1", **nothing | {"status": "pruned", "reason": "no time left"}),
    ]
    empty = {"cold_s": [], "load_s": [], "first_ms": [], "memory_mb": {}, "info": {}, "blocks_ms": []}
    error = {"code": "worker", "message": "The process died: signal 9.", "hint": "Free some memory."}
    document["runs"].append(measured(candidate("ort-died-t1")) | empty | {"error": error})
    return document


def skipped(count: int) -> dict[str, Any]:
    document = evidence()
    document["photos"]["skipped"] = [
        {"path": f"holiday/{i}.jpg", "error": {"code": "image", "message": f"Damage {i}.", "hint": ""}}
        for i in range(count)
    ]
    return document


def unmeasured() -> dict[str, Any]:
    """Nothing could be built or measured, and the host tells nothing."""
    document = failed()
    document["candidates"] = [
        row
        | {
            "metric": None,
            "ratio": None,
            "n": 0,
            "latency_ms": dict.fromkeys(row["latency_ms"]),
            "size_mb": None,
        }
        for row in document["candidates"]
    ]
    return document | {"chosen": None, "budget": [], "bundle": None, "runs": [], "host": {"isa": None}}


VARIANTS = {
    "chosen": evidence,
    "infeasible": infeasible,
    "failed": failed,
    "unmeasured": unmeasured,
    "original chosen": lambda: evidence(chosen="ort-f32-original-t1"),
    "50 skipped": lambda: skipped(50),
    "no runs kept": lambda: evidence(runs=[]),
    "one candidate": lambda: evidence(candidates=evidence()["candidates"][:2]),
    "odd budget": lambda: evidence(asked="not a budget.toml"),
}


class Outline(HTMLParser):
    """What a page holds; fails on tags that don't pair."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_candidate_clause_and_reason_is_on_the_page(name: str) -> None:
    document = VARIANTS[name]()
    text = Outline(render(document)).text
    for row in document["candidates"]:
        assert row["id"] in text
        assert not row["reason"] or row["reason"] in text
        assert all(note in text for note in row["notes"])
    for one in document["budget"]:
        assert one["clause"] in text
        assert one["verdict"] in text
        assert not one["needed"] or one["needed"] in text
    for photo in document["photos"]["skipped"]:
        assert photo["path"] in text
        assert photo["error"]["message"] in text
    assert "one picture at a time" in text
    assert "nan" not in text.split()
    assert "None" not in text


@pytest.mark.parametrize("name", VARIANTS)
def test_the_page_stands_alone_and_can_be_read_aloud(name: str) -> None:
    page = render(VARIANTS[name]())
    outline = Outline(page)
    assert "http" not in page
    assert "url(" not in page
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in outline.tags}
    assert [tag for tag, _ in outline.tags].count("h1") == 1
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in outline.tags if tag == "th")
    for tag, attributes in outline.tags:
        assert tag != "svg" or attributes.get("aria-label") or attributes.get("aria-hidden") == "true"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("chosen", ["The budget is met", "2.62×", "28 % of the original’s 9.60 MB", "−0.36 %", "needs 662, had 90"]),
        ("chosen", ["95 % interval", "210 photos", "40 other photos", "2 photos left out", "Cortex-A76"]),
        ("infeasible", ["Nothing meets the budget", "Nearest", "over by 110 %", "needs 6,636 runs, had 90"]),
        ("infeasible", ["fastest to slowest process"]),
        ("unmeasured", ["Nothing meets the budget", "No candidate could be measured", "not known"]),
        ("original chosen", ["The original itself is the choice", "11.0 ms"]),
        ("50 skipped", ["50 photos skipped"]),
        ("failed", ["2 failed", "1 pruned", "not measured", "no median time was measured: 5, 6, 7."]),
    ],
)  # fmt: skip
def test_what_each_outcome_says(name: str, told: list[str]) -> None:
    text = Outline(render(VARIANTS[name]())).text
    for words in told:
        assert words in text


def test_the_unknown_is_never_zero() -> None:
    cells = re.findall(
        r"<td class=num>(.*?)</td>", render(unmeasured()).split('<table class="candidates">')[1]
    )
    assert not [cell for cell in cells if re.match(r"[-−+]?0(\.0*)?(?![\d.])", cell)]


def _everywhere(value: Any, text: str) -> Any:
    """The document with `text` added to each string that a file name, a host or an error can decide."""
    if isinstance(value, dict):
        kept = {"status", "verdict", "unit"}
        return {key: found if key in kept else _everywhere(found, text) for key, found in value.items()}
    if isinstance(value, list):
        return [_everywhere(found, text) for found in value]
    return value + text if isinstance(value, str) else value


def test_strings_from_outside_stay_text() -> None:
    clean, hostile = skipped(2), _everywhere(skipped(2), HOSTILE)
    page = render(hostile)
    outline = Outline(page)
    assert not {"script", "img"} & {tag for tag, _ in outline.tags}
    assert escape(HOSTILE) in page
    assert [tag for tag, _ in outline.tags if tag != "line"] == [
        tag for tag, _ in Outline(render(_everywhere(clean, "x"))).tags if tag != "line"
    ]


def test_a_file_name_that_is_not_unicode_can_still_be_written() -> None:
    document = skipped(1)
    document["photos"]["skipped"][0]["path"] = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert "caf?.jpg" in render(document).encode("utf-8").decode("utf-8")


def _nullable() -> list[tuple[str | int, ...]]:
    paths: list[tuple[str | int, ...]] = [("chosen",), ("bundle",), ("report",)]
    paths += [("host", key) for key in evidence()["host"]]
    for i in range(4):
        paths += [
            ("candidates", i, key) for key in ("reason", "quantizer", "ratio", "cold_s", "rss_mb", "size_mb")
        ]
        paths += [("candidates", i, "latency_ms", key) for key in ("p50", "p90", "p99")]
        paths += [("candidates", i, "metric")]
    paths += [("candidates", 1, "metric", key) for key in ("value", "baseline", "drop", "ci", "n", "p_value")]
    paths += [("candidates", 1, "ratio", 2), ("candidates", 1, "metric", "ci", 0), ("budget", 0, "ci", 1)]
    paths += [("budget", i, key) for i in range(2) for key in ("value", "ci", "margin", "needed")]
    return paths


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(_nullable()), unique=True), st.sampled_from([None, math.inf, math.nan]))
def test_any_mixture_of_unknowns_renders(paths: list[tuple[str | int, ...]], missing: float | None) -> None:
    document = evidence()
    for *way, last in paths:
        place: Any = document
        for step in way:
            place = place[step] if place is not None else None
        number = isinstance(place, (dict, list)) and isinstance(place[last], float)
        if place is not None:
            place[last] = missing if number else None
    text = Outline(render(document)).text
    assert "None" not in text
    assert not {"nan", "inf"} & set(text.split())


@pytest.mark.parametrize(
    ("key", "value"),
    [("candidates", None), ("asked", 3), ("runs", [{}]), ("budget", [{}]), ("photos", {}), ("seconds", {})],
)
def test_what_is_no_evidence_is_said_so(key: str, value: Any) -> None:
    broken = evidence(**{key: value})
    if key == "seconds":
        del broken["seconds"]
    with pytest.raises(BundleError, match="not what a fit writes"):
        render(broken)


def test_rendering_changes_nothing_and_repeats() -> None:
    document = evidence()
    before = copy.deepcopy(document)
    assert render(document) == render(document)
    assert document == before


def test_the_metric_is_called_what_it_is() -> None:
    document = evidence(task="attributes", method="Ages & genders are judged each.")
    for row in document["candidates"]:
        if row["metric"]:
            row["metric"] |= {"name": "age right", "others": [{"name": "gender right", "drop": 0.0109}]}
    page = render(document)
    assert "Drop in age right" in page
    assert "gender right: +1.09 %" in page
    assert "Age right</th>" in page
    assert "Ages &amp; genders are judged each." in page
    document["candidates"][0]["metric"]["name"] = "gender right"
    assert "Metric</th>" in render(document)
    for row in document["candidates"]:
        if row["metric"]:
            row["metric"]["name"] = "map"
    assert "Drop in mAP" in render(document)


def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("needs the browser chromium on the PATH")
    pages = {"long": _everywhere(skipped(3), "-and-a-name-that-has-no-place-to-break" * 4), "usual": failed()}
    frames = ""
    for name, document in pages.items():
        (tmp_path / f"{name}.html").write_text(render(document), encoding="utf-8")
        frames += f'<iframe src="{name}.html" width="390" height="800"></iframe>'
    # Headless Chromium has no window as narrow as a phone, so the pages are put in frames of that width.
    (tmp_path / "phone.html").write_text(
        f"<body>{frames}<script>onload = () => {{ for (const frame of document.querySelectorAll('iframe')) {{"
        "const root = frame.contentDocument.documentElement;"
        "document.body.append(`[${root.scrollWidth} of ${root.clientWidth}]`); } }</script>",
        encoding="utf-8",
    )
    answer = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
            (tmp_path / "phone.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    widths = re.findall(r"\[(\d+) of (\d+)\]", answer.stdout)
    assert len(widths) == len(pages), answer.stderr
    assert all(int(needed) <= int(there) for needed, there in widths)
