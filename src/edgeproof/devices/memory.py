"""The machine's memory and swap."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeproof.devices.sysfs import as_int, read_text


class Memory(msgspec.Struct, frozen=True):
    """Sizes in 10^6 bytes; None where the machine doesn't tell.

    Attributes:
        total_mb: installed, less what the kernel keeps for itself.
        available_mb: what a new program could take without swapping.
        swap_mb: all swap there is.
        swap_used_mb: how much of it is in use.
    """

    total_mb: int | None
    available_mb: int | None
    swap_mb: int | None
    swap_used_mb: int | None


def memory(root: Path = Path("/")) -> Memory:
    """What /proc/meminfo says."""
    values: dict[str, int] = {}
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        kilobytes = as_int(rest.split()[0]) if rest.split() else None
        if kilobytes is not None and kilobytes >= 0:
            values[name] = kilobytes * 1024 // 1_000_000
    swap, free = values.get("SwapTotal"), values.get("SwapFree")
    used = None if swap is None or free is None else max(0, swap - free)
    return Memory(values.get("MemTotal"), values.get("MemAvailable"), swap, used)
