"""How long people are kept: `365d`."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from edgeproof.core.errors import UsageError

_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 31_557_600}
_LONGEST = 200 * _SECONDS["y"]


def parse_retention(text: str) -> int | None:
    """Seconds of `12h`, `365d`, `8w` or `2y`; None of `forever`.

    Raises:
        UsageError: it can't be read, is zero, or longer than 200 years.
    """
    if text.strip().lower() == "forever":
        return None
    match = re.fullmatch(r"\s*(\d{1,9})\s*([hdwy])\s*", text.lower())
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(
            f"{text!r} is no time to keep people.",
            hint="Write a number and h, d, w or y, such as 365d; or forever.",
        )
    return seconds


def in_words(seconds: int | None) -> str:
    """The same for people."""
    if seconds is None:
        return "for ever"
    days = seconds / _SECONDS["d"]
    return f"{days:.0f} days" if days >= 2 else f"{seconds / 3600:.0f} hours"


def when(seconds: int | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
