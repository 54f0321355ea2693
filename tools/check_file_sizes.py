"""Fail for any Python file of more than 400 lines: it does more than one thing.

python tools/check_file_sizes.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "tests", "tools", "benchmarks")
MOST = 400


def main() -> int:
    """Print each file that is too long; 1 if there is one."""
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    too_long = [(file, lines) for file in files if (lines := len(file.read_text().splitlines())) > MOST]
    for file, lines in too_long:
        print(f"{file.relative_to(ROOT)} has {lines} lines; {MOST} is the most. Split it by what it does.")
    print(f"{len(files)} files, {len(too_long)} of more than {MOST} lines")
    return bool(too_long)


if __name__ == "__main__":
    sys.exit(main())
