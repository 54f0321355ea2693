"""Running the command line, and Python, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import edgeproof

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(edgeproof.__file__).parent.parent),
    "COLUMNS": "200",
    "PYTHONUNBUFFERED": "",
}


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """`edgeproof ARGUMENTS` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edgeproof", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def python(code: str) -> str:
    """What a fresh Python prints while it runs the code."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
