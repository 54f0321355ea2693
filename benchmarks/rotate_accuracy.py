"""How right the orientation network is, by the command that users have."""

from __future__ import annotations

import json
import subprocess
import sys

from photos import SHARED

SETS = {
    "general objects (250 ImageNet samples)": "photos/val",
    "everyday scenes (56 of COCO val2017)": "coco/images",
}
RUNS = {
    "single pass": [],
    "single pass, whole JPEGs decoded": ["--full-decode"],
    "four turns (`--turns 4`)": ["--turns", "4"],
}


def section() -> str:
    """One row for each set and way of looking."""
    lines = []
    for label, folder in SETS.items():
        for name, options in RUNS.items():
            found = _evaluate(str(SHARED / "data" / folder), options)
            lines.append(
                f"| {label} | {name} | {found['accuracy']:.3f} | {found['threshold']:.2f} | {found['harm']:.1%} |"
                f" {found['put_right']:.1%} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            "## rotate: accuracy",
            "",
            "`edgeproof rotate evaluate DIR`; every photo in all four turns. Harm: upright photos that would be"
            " turned at the default threshold. Put right: turned photos that would be put upright.",
            "",
            "| photos | look | accuracy | threshold | harm | put right |",
            "|---|---|---|---|---|---|",
            *lines,
        ]
    )


def _evaluate(folder: str, options: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "edgeproof", "rotate", "evaluate", folder, "--json", "-q", *options]
    document: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return document


if __name__ == "__main__":
    print(section())
