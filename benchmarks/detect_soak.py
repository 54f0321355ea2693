"""A long video through the detector: does memory grow, does the speed jitter, is every frame there and in its place?

EDGEPROOF_SOAK_FRAMES: how many frames, 10,000 without it. With the name of a video as its argument this is the program
that looks at it, in a process of its own, and prints one JSON line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeproof.core.allocator import return_large_blocks
from edgeproof.core.protocols import Pixels
from edgeproof.devices.host import usable_cores
from edgeproof.imaging.decode import decode
from edgeproof.library.detect.detector import Detector
from edgeproof.measure.memory import peak_mb
from edgeproof.measure.statistics import minimum_runs, percentile
from edgeproof.measure.trend import slope_interval
from edgeproof.streams.batches import resident_bytes
from edgeproof.streams.video_writer import VideoWriter
from photos import SHARED

FRAMES = int(os.environ.get("EDGEPROOF_SOAK_FRAMES", "10000"))
MODEL = SHARED / "models" / "yolox-nano.onnx"
SIZE, BITS = (320, 240), 14
SAMPLES = 200
# What memory does before this share of the frames is the process getting going.
WARM_UP = 0.2
STEPS = ("decode", "prepare", "run", "decode_result", "total")


def section() -> str:
    """One run over one file."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as name:
        video = Path(name) / "long.mp4"
        make_video(video, FRAMES)
        done = subprocess.run(
            [sys.executable, __file__, str(video)], check=True, capture_output=True, text=True
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    at, resident = (np.array(answer[key], float) for key in ("at", "resident_mb"))
    settled = at >= WARM_UP * FRAMES
    slope = slope_interval(at[settled], resident[settled])
    return "\n".join(
        [
            f"## detect: a video of {FRAMES:,} frames",
            "",
            f"{SIZE[0]}x{SIZE[1]}, its number written into every frame; yolox-nano, {answer['workers']} workers,"
            f" {answer['frames'] / answer['seconds']:.1f} frames a second.",
            "",
            f"- Frames that came: {answer['frames']:,} of {FRAMES:,}; lost: {answer['lost']}; out of order:"
            f" {answer['out_of_order']}; with the pixels of another: {answer['mistaken']}.",
            f"- Memory after the first {WARM_UP:.0%}: {resident[settled][0]:.1f} MB, at the end {resident[-1]:.1f} MB,"
            f" peak {answer['peak_mb']:.1f} MB; slope (Theil-Sen, 95 % interval)"
            f" {slope.value * 1e3:+.3f} kB a frame ({slope.low * 1e3:+.3f} to {slope.high * 1e3:+.3f}).",
            "",
            "| step | p50 ms | p99 ms | p99 / p50 |",
            "|---|---:|---:|---:|",
            *(_row(step, answer["ms"][step]) for step in STEPS),
        ]
    )


def _row(step: str, times: list[float]) -> str:
    low, high = percentile(times, 0.5), percentile(times, 0.99)
    if low is None or high is None:
        return f"| {step} | n/a | n/a: it takes {minimum_runs(0.99)} frames | n/a |"
    return f"| {step} | {low:.2f} | {high:.2f} | {high / low:.2f} |"


def make_video(path: Path, count: int) -> None:
    """Photos in turn, the number of each frame in black and white squares along its upper edge."""

    photos = [
        cv2.resize(decode(file).pixels, SIZE)
        for file in sorted((SHARED / "data/coco/images").glob("*.jpg"))[:20]
    ]
    side = SIZE[0] // BITS
    with VideoWriter(path, 25) as writer:
        for number in range(count):
            frame = photos[number % len(photos)].copy()
            for bit in range(BITS):
                frame[:side, bit * side : (bit + 1) * side] = 255 * (number >> bit & 1)
            writer.write(frame)


def number_in(pixels: Pixels) -> int:
    """The number that `make_video` wrote into a frame."""
    side = SIZE[0] // BITS
    bits = (pixels[: side - 4, bit * side + 4 : (bit + 1) * side - 4].mean() > 127 for bit in range(BITS))
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def watch(video: str) -> dict[str, Any]:
    """Every frame through the detector, keeping figures only, in arrays that are there from the beginning."""
    return_large_blocks()
    every, workers = max(1, FRAMES // SAMPLES), usable_cores()
    index, written = np.full((2, FRAMES + 1), -1, np.int64)
    ms = np.zeros((len(STEPS), FRAMES + 1))
    resident = np.zeros(FRAMES + 1)
    came = 0
    with Detector(MODEL) as detector:
        detector.open()
        started = time.perf_counter()
        for report in detector.stream(video, workers=workers, keep_pixels=True, limit=FRAMES + 1):
            assert report.frame is not None
            if report.error is not None or report.pixels is None:
                continue
            index[came], written[came] = report.frame.index, number_in(report.pixels)
            ms[:, came] = [report.timing_ms[step] for step in STEPS]
            resident[came] = (resident_bytes() or 0) / 1e6
            came += 1
        seconds = time.perf_counter() - started
    index, written, at = index[:came], written[:came], np.arange(0, came, every)
    return {
        "workers": workers,
        "frames": came,
        "lost": len(set(range(FRAMES)) - set(index.tolist())),
        "out_of_order": int((np.diff(index) <= 0).sum()),
        "mistaken": int((written != index % (1 << BITS)).sum()),
        "seconds": seconds,
        "at": at.tolist(),
        "resident_mb": resident[at].tolist(),
        "peak_mb": peak_mb(),
        "ms": {step: ms[row, :came].tolist() for row, step in enumerate(STEPS)},
    }


if __name__ == "__main__":
    print(json.dumps(watch(sys.argv[1])) if len(sys.argv) > 1 else section())
