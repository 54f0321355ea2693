"""Memory of `edgeproof rotate`: large photos, and many."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from edgeproof.tasks.orientation import builtin_model
from photos import UPRIGHT, make_photos

HERE = Path(__file__).resolve().parent
LARGE = (6000, 4000)
COUNT = 2000


def section() -> str:
    """Peak with 24-megapixel photos, slope over many small ones."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        work = Path(folder)
        large = []
        for kind, progressive in (("baseline", False), ("progressive", True)):
            place = make_photos(work / kind, 20, None)
            picture = _large_picture()
            for number in range(4):
                picture.save(place / f"large-{number}.jpg", quality=92, progressive=progressive)
            size = (place / "large-0.jpg").stat().st_size / 1e6
            _, peak = _run(place)
            large.append(f"| 20 small and 4 of 24 megapixels, {kind}, {size:.1f} MB each | {peak:.0f} MB |")
        resident, peak = _run(make_photos(work / "many", COUNT, None))
    half = resident[len(resident) // 2 :]
    per_photo = COUNT // len(resident)
    slopes = [
        (b - a) / ((j - i) * per_photo) * 1e3 for i, a in enumerate(half) for j, b in enumerate(half) if j > i
    ]
    return "\n".join(
        [
            "## rotate: memory",
            "",
            "Peak resident memory (VmHWM) of the whole process, both cores at work.",
            "",
            "| folder | peak |",
            "|---|---|",
            *large,
            f"| {COUNT:,} small photos | {peak:.0f} MB |",
            "",
            f"Over the second half of the {COUNT:,} photos resident memory went from {half[0]:.1f} to"
            f" {half[-1]:.1f} MB; the median slope (Theil-Sen) is {np.median(slopes):+.2f} kB a photo.",
        ]
    )


def _large_picture() -> Image.Image:
    """24 megapixels with as much grain as a camera's: the file is as large as a real one."""
    source = Image.open(min(UPRIGHT.glob("*.jpg"))).convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, 6, (LARGE[1], LARGE[0], 1)).astype(np.int8)
    return Image.fromarray(np.clip(np.asarray(source, np.int16) + grain, 0, 255).astype(np.uint8))


def _run(photos: Path) -> tuple[list[float], float]:
    command = [sys.executable, str(HERE / "library_rotate.py"), str(builtin_model()), str(photos)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    numbers = [float(word) for word in words[2:]]
    return numbers[:-1], numbers[-1]


if __name__ == "__main__":
    print(section())
