"""Photos to measure with: the shared set, or the sample photographs of scikit-image."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("EDGEPROOF_SHARED", ROOT.parent / "shared"))
UPRIGHT = SHARED / "data" / "photos" / "val"


def make_photos(folder: Path, count: int, size: tuple[int, int] | None) -> Path:
    """`count` JPEGs of `size` (None: as they are) in `folder`, from the upright photos in turn."""
    folder.mkdir(parents=True)
    sources = sorted(UPRIGHT.glob("*.jpg"))
    for number in range(count):
        source = sources[number % len(sources)]
        target = folder / f"{number:05}.jpg"
        if size is None:
            target.write_bytes(source.read_bytes())
        elif number < len(sources):
            image = Image.open(source).convert("RGB").resize(size, Image.Resampling.BICUBIC)
            image.save(target, quality=90)
        else:
            target.write_bytes((folder / f"{number - len(sources):05}.jpg").read_bytes())
    return folder
