"""Write calibration.npz as amct_onnx wants it: calibration/0/0000.bin for the first input, and so on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

with np.load(HERE / "calibration.npz", allow_pickle=False) as arrays:
    for place, name in enumerate(arrays.files):
        folder = HERE / "calibration" / str(place)
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(arrays[name]):
            row.tofile(folder / f"{number:04}.bin")
        print(f"{name}: {number + 1} files in {folder}")
