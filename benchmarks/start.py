"""How long it takes to get going: import, help, first answer."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from photos import UPRIGHT

TURNS = 15


def section() -> str:
    """Medians of whole processes, taking turns."""
    photo = str(next(iter(sorted(UPRIGHT.glob("*.jpg")))))
    commands = {
        "bare Python": [sys.executable, "-c", "pass"],
        "`import edgeproof`": [sys.executable, "-c", "import edgeproof"],
        "`edgeproof --help`": [sys.executable, "-m", "edgeproof", "--help"],
        "`edgeproof rotate` of one photo": [sys.executable, "-m", "edgeproof", "rotate", photo],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TURNS):
        for name, command in commands.items():
            before = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append((time.perf_counter() - before) * 1e3)
    bare = median(times["bare Python"])
    lines = [
        f"| {name} | {median(values):.0f} | {median(values) - bare:.0f} |" for name, values in times.items()
    ]
    return "\n".join(
        [
            "## Start",
            "",
            f"Whole processes, in turns; medians of {TURNS}.",
            "",
            "| command | ms | over bare Python |",
            "|---|---|---|",
            *lines,
        ]
    )


if __name__ == "__main__":
    print(section())
