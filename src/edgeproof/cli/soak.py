"""What `edgeproof bench --soak` shows to people."""

from __future__ import annotations

from typing import Any

from edgeproof.cli.output import Output

_GROWTH = {
    "steady": "steady",
    "growing": "growing; ended before a doubled run could tell",
    "leak": "leak",
    "settles": "grew, then settled",
    "not measured": "too short to tell",
}


def show_soak(output: Output, told: dict[str, Any]) -> None:
    """The rows of a soak, and what each means."""
    output.table(
        "Soak",
        ("variant", ">runs", ">p50 ms", ">p99", ">steady after", ".memory", ".verdict"),
        [_line(row) for row in told["variants"]],
        ["" if row["soak"]["verdict"] == "steady" else "yellow" for row in told["variants"]],
    )
    for row in told["variants"]:
        soak = row["soak"]
        for name, found in soak["memory"].items():
            if found["mb_per_hour"] is not None:
                low, high = found["ci"]
                output.say(
                    f"{row['id']}: {name.upper()} {_GROWTH[found['verdict']]}; {found['mb_per_hour']:+,.1f} MB an hour "
                    f"(95 %: {low:+,.1f} to {high:+,.1f}), a leak from {found['limit_mb_per_day']:.0f} MB a day."
                )
        if soak["doubled"]:
            output.say(f"{row['id']}: its memory seemed to grow, so it ran as long again.")
        for reason in (*row["reasons"], *row["notes"]):
            output.say(f"{row['id']}: {reason}.")
        if soak["throttle"]["verdict"] == "not measured":
            output.say(f"{row['id']}: heat not measured: no sensor tells of clock and temperature.")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    soak = row["soak"]
    memory = (
        soak["memory"]["pss"] if soak["memory"]["pss"]["verdict"] != "not measured" else soak["memory"]["rss"]
    )
    return (
        row["id"],
        f"{row['n']:,}",
        _number(row["latency_ms"]["p50"], 2),
        _number(row["latency_ms"]["p99"], 2),
        _number(soak["steady_after_s"], 0, " s"),
        _GROWTH[memory["verdict"]].partition(";")[0],
        soak["verdict"],
    )


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "n/a" if value is None else f"{value:.{digits}f}{unit}"
