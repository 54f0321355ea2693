"""Amounts of memory as people write them."""

from __future__ import annotations

import math
import re

from edgeproof.core.errors import BudgetError

_UNITS = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "": 1e6}
_AMOUNT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*")


def parse_size(text: str) -> int:
    """`160MB`, `0.5 GB`, `512MiB`, or a plain number of MB, in bytes; MB is 10^6 bytes.

    Raises:
        BudgetError: it is none of these, or 0.
    """
    found = _AMOUNT.fullmatch(text)
    factor = _UNITS.get(found[2].lower()) if found else None
    size = float(found[1]) * factor if found and factor else 0.0
    if not math.isfinite(size) or size < 1:
        raise BudgetError(
            f"{text!r} is no amount of memory.",
            hint="Write a number above 0 with its unit, such as 160MB or 1GB.",
        )
    return int(size)
