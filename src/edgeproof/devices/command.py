"""Asking a small program of the board's vendor."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence

# Gives what the program prints, or None where it isn't there, fails or hangs. Tests put a fake in its place.
Runner = Callable[[Sequence[str]], "str | None"]

_TIMEOUT_S = 2.0


def run_command(words: Sequence[str]) -> str | None:
    """What a program prints; None where it isn't installed, fails, or takes longer than 2 seconds.

    Arguments:
        words: the program's name, found on PATH, and its arguments.
    """
    program = shutil.which(words[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
