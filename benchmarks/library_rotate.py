"""The same work by `edgeproof rotate`'s own function, timed alike: without the imports.

    python benchmarks/library_rotate.py MODEL FOLDER

Prints the number of photos, the seconds, and the resident memory (MB) after each twentieth of the photos,
then its peak.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edgeproof.core.allocator import return_large_blocks
from edgeproof.devices.host import usable_cores
from edgeproof.library.orientation.rotate import find_for_rotation, rotate
from edgeproof.measure.memory import peak_mb
from edgeproof.tasks.orientation import Orientation


def main(model: str, folder: str) -> None:
    """Look at every photo of a folder."""
    return_large_blocks()
    started = time.perf_counter()
    photos = find_for_rotation([folder])
    resident = []
    with Orientation(model, threads=1) as orientation:
        for number, report in enumerate(rotate(photos, orientation, workers=usable_cores()), 1):
            if report.error:
                raise report.error
            if number % max(1, len(photos) // 20) == 0:
                resident.append(_resident_mb())
    print(len(photos), time.perf_counter() - started, *(f"{mb:.2f}" for mb in resident), peak_mb())


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:3])
