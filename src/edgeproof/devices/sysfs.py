"""Reading the small files in which a kernel shows what it knows."""

from __future__ import annotations

from pathlib import Path

# The longest are /proc/cpuinfo and /proc/stat of a machine with hundreds of processors, below 1 MB.
_MOST_BYTES = 4_000_000


def read_text(path: Path) -> str | None:
    """A file of the kernel, without its padding; None where it is empty or can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip("\x00\n ") or None
    except (OSError, ValueError):
        return None


def read_int(path: Path) -> int | None:
    """A file that holds one whole number; None where it doesn't."""
    return as_int(read_text(path))


def as_int(text: str | None) -> int | None:
    """A decimal number of up to 20 digits, as a 64-bit counter has at the most; None for anything else."""
    text = (text or "").strip()
    digits = text[1:] if text.startswith("-") else text
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= 20 else None
