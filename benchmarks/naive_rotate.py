"""What most people write first: open, turn by EXIF, crop, resize, run, one photo after the other.

    python benchmarks/naive_rotate.py MODEL.onnx FOLDER

Prints the number of photos and the seconds that the loop took, without the imports.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SIDE = 192


def main(model: str, folder: str) -> None:
    """Look at every photo of a folder."""
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(model)
    name = session.get_inputs()[0].name
    turned = 0
    paths = sorted(Path(folder).iterdir())
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        square = image.crop((left, top, left + short, top + short)).resize((SIDE, SIDE))
        tensor = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None]
        turned += int(session.run(None, {name: tensor})[0].argmax() > 0)
    print(len(paths), time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:3])
