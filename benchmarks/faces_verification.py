"""How well people are told apart: the LFW pairs by the command that users have, and all pictures with all others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.imaging.align import align_faces
from edgeproof.imaging.decode import decode
from edgeproof.library.faces.faces import Faces
from edgeproof.library.faces.verify import embed_one
from edgeproof.streams.ordered import map_ordered
from edgeproof.verify.pairs import read_pairs
from edgeproof.verify.verification import threshold_at_far
from photos import SHARED

DETECTOR = SHARED / "models" / "yunet-n-dynamic.onnx"
RECOGNIZER = SHARED / "models" / "mobilefacenet-foamliu.onnx"
PAIRS = SHARED / "data" / "lfw" / "pairs.csv"
IMAGES = SHARED / "data" / "lfw" / "images"
RUNS: dict[str, list[str]] = {"default": [], "mirror image too (`--flip`)": ["--flip"]}
FARS = (1e-2, 1e-3, 1e-4, 1e-5)
_WORKERS = 2


def section() -> str:
    """Two tables: the pairs of the protocol, and thresholds from all pairs."""
    lines = []
    for name, options in RUNS.items():
        found = _verify(options)
        lines.append(
            f"| {name} | {found['accuracy']:.2%} ± {found['std']:.2%} | {found['tar_at_far']['0.01']:.2%} |"
            f" {found['equal_error']:.2%} | {found['failed']} | {found['seconds']:.0f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    thresholds, pairs = _all_pairs()
    return "\n".join(
        [
            "## faces: verification",
            "",
            "`edgeproof faces verify` on 1,200 pairs of LFW (2 folds, 250x250), YuNet and MobileFaceNet, float32.",
            "",
            "| run | accuracy | TAR at FAR 1 % | equal error | pairs failed | seconds |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
            f"All of these pictures with all others, {pairs}: what a threshold means.",
            "",
            "| accepted of two people | threshold | accepted of one person |",
            "|---|---|---|",
            *thresholds,
            "",
            f"Aligning one face to 112x112 takes {_align_ms():.2f} ms on one core.",
        ]
    )


def _verify(options: list[str]) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "edgeproof",
        "faces",
        "verify",
        "--pairs",
        str(PAIRS),
        "--images",
        str(IMAGES),
    ]
    command += ["--detector", str(DETECTOR), "--recognizer", str(RECOGNIZER), "--json", "-q", *options]
    document: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return document


def _all_pairs() -> tuple[list[str], str]:
    pairs = read_pairs(PAIRS)
    names = sorted({name for pair in pairs for name in (pair.a, pair.b)})
    with Faces(DETECTOR, RECOGNIZER) as faces:
        vectors = np.stack(
            list(map_ordered(lambda name: embed_one(IMAGES / name, faces), names, workers=_WORKERS))
        )
    people = np.array([Path(name).parent.name for name in names])
    rows, columns = np.triu_indices(len(names), 1)
    similarities = np.einsum("ij,ij->i", vectors[rows], vectors[columns])
    same = people[rows] == people[columns]
    lines = [_line(far, similarities[same], similarities[~same]) for far in FARS]
    return lines, f"{(~same).sum():,} pairs of two people and {same.sum():,} of one"


def _line(far: float, genuine: NDArray[np.float32], impostor: NDArray[np.float32]) -> str:
    threshold = threshold_at_far(impostor, far)
    if threshold is None:
        return f"| {far:.3%} | n/a | n/a |"
    return f"| {far:.3%} | {threshold:.3f} | {(genuine >= threshold).mean():.2%} |"


def _align_ms() -> float:
    path = next(iter(sorted(IMAGES.glob("*/*.jpg"))))
    pixels = decode(path).pixels
    with Faces(DETECTOR, RECOGNIZER) as faces:
        marks = faces.detect(pixels).landmarks
    assert marks is not None
    eight = np.repeat(marks[:1], 8, axis=0)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        align_faces(pixels, eight)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000 / len(eight)


if __name__ == "__main__":
    print(section())
