"""What `faces benchmark` found, as a table and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = (
    ".way",
    ">images/s",
    ">times serial",
    ">p50 ms",
    ">p90 ms",
    ">peak MB",
    ">kB an image",
    ">accuracy",
)


def table_rows(ways: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row of text for each way, in the order of `COLUMNS`."""
    return [
        (
            way["id"],
            _number(way["images_per_s"], ".1f"),
            _speedup(way["speedup"]),
            _number(way["per_image_ms"]["p50"], ".1f"),
            _number(way["per_image_ms"]["p90"], ".1f"),
            _number(way["peak_mb"], ".0f"),
            _number(way["slope_kb_per_image"], "+.2f"),
            _number(way["accuracy"], ".2%"),
        )
        for way in ways
    ]


def page(document: Mapping[str, Any]) -> str:
    """The page."""
    host = document["host"]
    lines = [
        "# Faces: measured",
        "",
        f"{document['images']:,} pictures, {document['faces_per_image']:.1f} faces each, {document['seconds']:.0f} s,"
        f" on {host['processor']}, {host['cores']} cores. All ways took turns, each in a process of its own; a"
        " picture's time is that between two results, and of the pipelined ways several are on their way at once.",
        "",
        "| " + " | ".join(name.lstrip(">.") for name in COLUMNS) + " |",
        "|---|" + "---:|" * (len(COLUMNS) - 1),
        *("| " + " | ".join(row) + " |" for row in table_rows(document["ways"])),
        "",
        f"Best: **{document['best']}**." if document["best"] else "No pipelined way could be measured.",
        "",
    ]
    refused = [one for one in document["candidates"] if one["refused"]]
    failed = [way for way in document["ways"] if way["error"]]
    lines += [f"- Not used: {one['id']}: {one['refused']}" for one in refused]
    lines += [f"- Failed: {way['id']}: {way['error']['message']}" for way in failed]
    lines += [
        "",
        "`n/a`: too few pictures to say, or not asked for. Memory is the peak of each whole process (VmHWM); its",
        "growth is the median slope over the second half of the run.",
        "",
    ]
    return "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)


def _speedup(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "n/a"
    low, high = value["ci"]
    return f"{value['value']:.2f} ({low:.2f} to {high:.2f})"
