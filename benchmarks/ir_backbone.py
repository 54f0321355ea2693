"""CurricularFace's backbones, IR-50 and IR-101, with weights by chance: import, speed and memory.

The published weights are not ours to keep here; what a face costs doesn't depend on them.

    python benchmarks/ir_backbone.py [OUT_DIR]          makes ir-50.onnx and ir-101.onnx there, and measures them
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from edgeproof.formats.pytorch.ir_backbone import UNITS, ir_network, published_shape
from edgeproof.verify.importing import import_network

_RUN = """
import json, sys, time
import numpy as np
from edgeproof.measure.memory import peak_mb
from edgeproof.tasks.face_recognition import FaceRecognizer
crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
started = time.perf_counter()
with FaceRecognizer(sys.argv[1]) as recognizer:
    recognizer.embed(crops[:1])
    opened = time.perf_counter() - started
    times = {}
    for count in (1, 4):
        seen = []
        for _ in range(5):
            started = time.perf_counter()
            recognizer.embed(crops[:count])
            seen.append((time.perf_counter() - started) / count)
        times[count] = float(np.median(seen)) * 1000
    print(json.dumps({"open_s": opened, "ms": times, "peak_mb": peak_mb()}))
"""


def section() -> str:
    """One row for each network."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-ir-") as folder:
        rows = measure(Path(folder))
    return "\n".join(
        [
            "## faces: CurricularFace's backbones",
            "",
            "With weights by chance, as its own can't be had here: `edgeproof import` from a state dict (with its check"
            " against PyTorch), then `FaceRecognizer` in a process of its own, one thread, float32.",
            "",
            "| network | weights, MB | import, s | check | first face, s | ms a face | ms a face in fours | peak, MB |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def measure(folder: Path) -> list[str]:
    """Make, import and run both."""
    rows = []
    for name in ("IR-50", "IR-101"):
        weights = make(folder, name)
        started = time.monotonic()
        result = import_network(weights, folder / f"{name.lower()}.onnx")
        seconds = time.monotonic() - started
        weights.unlink()
        command = [sys.executable, "-c", _RUN, str(result.output)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(
            f"| {name} | {result.output.stat().st_size / 1e6:.0f} | {seconds:.0f} | {result.check.verdict} |"
            f" {found['open_s']:.1f} | {found['ms']['1']:.0f} | {found['ms']['4']:.0f} | {found['peak_mb']:.0f} |"
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def make(folder: Path, name: str, seed: int = 0) -> Path:
    """A state dict with the names of the published one and seeded weights (He et al. 2015)."""
    torch.manual_seed(seed)
    network: Any = ir_network(torch, published_shape(UNITS[name]))
    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(layer.weight)
    path = folder / f"{name.lower()}.pth"
    torch.save(network.state_dict(), path)
    return path


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        print("\n".join(measure(target)))
    else:
        print(section())
