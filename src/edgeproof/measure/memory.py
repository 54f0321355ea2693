"""Memory of this process: resident by phase, and its share of what it has in common with others.

VmHWM of /proc/self/status, never ru_maxrss: a child inherits its parent's peak in the latter. Writing 5 to
/proc/self/clear_refs resets it, which separates phases (proc(5)).
"""

from __future__ import annotations

import contextlib
from pathlib import Path


def peak_mb(status: Path = Path("/proc/self/status")) -> float | None:
    """Peak resident memory since the start or the last reset, in 10^6 bytes; None where it can't be read."""
    return _field_mb(status, "VmHWM:")


def pss_mb(rollup: Path = Path("/proc/self/smaps_rollup")) -> float | None:
    """Resident memory now, pages shared by n processes counted 1/n, in 10^6 bytes; None where it can't be read."""
    return _field_mb(rollup, "Pss:")


def reset_peak(clear_refs: Path = Path("/proc/self/clear_refs")) -> None:
    """Start a new phase: from here `peak_mb` counts anew. Without the right to, phases add up."""
    with contextlib.suppress(OSError):
        clear_refs.write_text("5")


def _field_mb(file: Path, name: str) -> float | None:
    try:
        text = file.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    return None
