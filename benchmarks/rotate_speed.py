"""`edgeproof rotate` against the loop that most people write first."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from edgeproof.fit.run import fit
from edgeproof.tasks.orientation import builtin_model
from photos import UPRIGHT, make_photos

HERE = Path(__file__).resolve().parent
COUNT, TURNS = 1000, 3
SIZES = {"as they are, short side 256": None, "640 x 480": (640, 480), "1280 x 960": (1280, 960)}
BF16 = ["--engine", "openvino", "--engine-option", "precision=bf16", "--engine-option", "fixed_shape=N=1"]
LOOP = "the loop"


def section() -> str:
    """Photos a second of each way, in turns."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        work = Path(folder)
        fitted = fit("orientation", data=UPRIGHT, budget="drop<3%", out=work / "o.edge")
        if not fitted.bundle:
            raise SystemExit("fit chose nothing")
        bundle = fitted.bundle
        ways: dict[str, list[str]] = {LOOP: _loop(builtin_model()), "`rotate`, the same file": _rotate()}
        if find_spec("openvino"):
            ways["`rotate --engine openvino`, bf16, the same file"] = _rotate(*BF16)
        ways[f"`rotate --model` what `fit` chose ({fitted.chosen})"] = _rotate("--model", str(bundle))
        ways["the loop on the file that `fit` chose"] = _loop(bundle / "model.onnx")
        for number, (label, size) in enumerate(SIZES.items()):
            photos = make_photos(work / f"{number}", COUNT, size)
            rates: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(TURNS):
                for way, command in ways.items():
                    rates[way].append(COUNT / _seconds([*command, str(photos)]))
            for way, found in rates.items():
                ratios = [mine / loop for mine, loop in zip(found, rates[LOOP], strict=True)]
                lines.append(
                    f"| {label} | {way} | {median(found):.0f} | {median(ratios):.2f}x |"
                    f" {min(ratios):.2f} to {max(ratios):.2f} |"
                )
                print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            "## rotate: photos a second",
            "",
            f"{COUNT:,} JPEGs, the whole command from its start to its end; medians of {TURNS} turns, in each of which"
            " every way ran once. The loop (`benchmarks/naive_rotate.py`) is Pillow"
            " and ONNX Runtime with its default threads, so the network alone already uses every core in it: where the"
            " network is most of the time (small photos), there is little to gain but by a faster network.",
            "",
            "| photos | way | a second | times the loop | in the turns |",
            "|---|---|---|---|---|",
            *lines,
        ]
    )


def _loop(model: Path) -> list[str]:
    return [sys.executable, str(HERE / "naive_rotate.py"), str(model)]


def _rotate(*options: str) -> list[str]:
    return [sys.executable, "-m", "edgeproof", "rotate", "--json", "--quiet", *options]


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(section())
