"""`edgeproof rotate` against the loop that most people write first."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from edgeproof.fit.run import fit
from edgeproof.tasks.orientation import builtin_model
from photos import UPRIGHT, make_photos

HERE = Path(__file__).resolve().parent
COUNT, TURNS = 1000, 3
SIZES = {"as they are, short side 256": None, "1280 x 960": (1280, 960)}


def section() -> str:
    """Photos a second of both, in turns."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        work = Path(folder)
        fitted = fit("orientation", data=UPRIGHT, budget="drop<3%", out=work / "o.edge")
        if not fitted.bundle:
            raise SystemExit("fit chose nothing")
        bundle = fitted.bundle
        pairs = [
            ("the network as it comes, both", builtin_model(), builtin_model()),
            (f"the file that fit chose ({fitted.chosen}), both", bundle / "model.onnx", bundle),
            (
                "before and after: the loop as it comes, edgeproof on the fitted bundle",
                builtin_model(),
                bundle,
            ),
        ]
        for number, (label, size) in enumerate(SIZES.items()):
            photos = make_photos(work / f"{number}", COUNT, size)
            for name, naive_model, our_model in pairs:
                naive, ours, ratios = [], [], []
                for _ in range(TURNS):
                    naive.append(_rate("naive_rotate.py", naive_model, photos))
                    ours.append(_rate("library_rotate.py", our_model, photos))
                    ratios.append(ours[-1] / naive[-1])
                lines.append(
                    f"| {label} | {name} | {median(naive):.0f} | {median(ours):.0f} | {median(ratios):.2f}x |"
                )
                print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            "## rotate: photos a second",
            "",
            f"{COUNT:,} JPEGs, decode to decision, without imports; medians of {TURNS} turns each. The loop"
            " (`benchmarks/naive_rotate.py`) is Pillow and ONNX Runtime with its default threads, so the network"
            " alone already uses every core in it: where the network is most of the time (small photos, f32),"
            " there is little left to gain but by a faster network.",
            "",
            "| photos | model | loop | edgeproof | ratio |",
            "|---|---|---|---|---|",
            *lines,
        ]
    )


def _rate(script: str, model: Path, photos: Path) -> float:
    command = [sys.executable, str(HERE / script), str(model), str(photos)]
    count, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[:2]
    return int(count) / float(seconds)


if __name__ == "__main__":
    print(section())
