"""How the report words numbers, and what it says where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

UNKNOWN = '<span class="none">not measured</span>'
# The percentiles that are told of every candidate.
TOLD = ("p50", "p90", "p99")
# What metrics are called in writing; others are called what they are.
_METRICS = {"map": "mAP", "ap50": "AP50"}
_SIGNS = {"pass": "✓", "fail": "✗", "not enough evidence": "?", "not measured": "–"}


def known(value: Any, otherwise: Any = None) -> Any:
    """The value if it is a finite number; JSON has null for what is unknown or infinite."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else otherwise


def plain(value: float) -> str:
    """Three figures that count."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{min(max(digits, 0), 4)}f}".replace("-", "−")


def signed(fraction: float) -> str:
    """A drop in percentage points, without the sign for percent."""
    return "0" if round(100 * fraction, 2) == 0 else f"{100 * fraction:+.2f}".replace("-", "−")


def unit(value: Any, unit: str = "", missing: str = UNKNOWN) -> str:
    """A value with its unit."""
    return missing if known(value) is None else f"{plain(value)} {unit}".strip()


def percent(value: Any) -> str:
    """A share."""
    return UNKNOWN if known(value) is None else f"{100 * value:.1f} %"


def drop(fraction: Any) -> str:
    """A drop in percentage points."""
    return UNKNOWN if known(fraction) is None else f"{signed(fraction)} %"


def interval(ends: Sequence[Any] | None, told: Callable[[float], str]) -> str:
    """Both ends in words; an end that is infinite or unknown doesn't bound."""
    either: Sequence[Any] = ends or (None, None)
    low, high = ("" if known(end) is None else told(end) for end in either)
    if low and high:
        return f"{low} to {high}"
    return f"{low} or more" if low else f"up to {high}" if high else "no bounds"


def times(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def span(counts: Sequence[int]) -> str:
    """The smallest and the largest count."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def threads(row: Mapping[str, Any]) -> str:
    """A candidate's number of threads."""
    return times(row["threads"], "thread")


def metric_name(name: str) -> str:
    """A metric as people write it."""
    return _METRICS.get(name, name)


def badge(text: str) -> str:
    """A verdict or status as a coloured word; a verdict has its sign too, for who can't tell the colours."""
    icon = f'<span aria-hidden="true">{_SIGNS[text]}</span> ' if text in _SIGNS else ""
    return f'<span class="badge {escape(text.replace(" ", "-"))}">{icon}{escape(text)}</span>'
