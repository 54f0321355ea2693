"""Objects: what we add to the network, how well they are found, and images a second and memory beside ultralytics.

EDGEPROOF_ULTRALYTICS_PYTHON names a Python that has ultralytics and ONNX Runtime; without it that row is left out.
Every process finds its bytecode compiled, as an installed package's is.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from edgeproof.core.errors import EdgeproofError
from edgeproof.devices.host import usable_cores
from edgeproof.imaging.decode import decode
from edgeproof.library.detect.detector import Detector, decode_for
from edgeproof.library.detect.evaluate import LEAST, OVERLAP, evaluate_objects
from edgeproof.tasks.detection import ObjectDetector
from edgeproof.tasks.detection.open import Wish
from edgeproof.verify.mean_average_precision import Answered, mean_average_precision
from edgeproof.verify.object_labels import read_yolo
from photos import SHARED, make_photos
from yolox_reference import YoloXReference

HERE = Path(__file__).resolve().parent
MODELS, COCO = SHARED / "models", SHARED / "data" / "coco"
YOLOV8, YOLOX = MODELS / "yolov8n-topology.onnx", MODELS / "yolox-nano.onnx"
ROUNDS, TURNS, LARGE, REPEATS = 5, 5, 12, 4
BF16 = {"engine": "openvino", "options": {"precision": "bf16"}}
# Label, file, and what the detector is told.
ACCURACY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ONNX Runtime, f32", "yolox-nano.onnx", {}),
    ("LiteRT, the float16 .tflite", "yolox-nano-fp16.tflite", {"engine": "litert"}),
    ("OpenVINO, f32", "yolox-nano.onnx", {"engine": "openvino"}),
    ("OpenVINO, bf16", "yolox-nano.onnx", BF16),
)


def section() -> str:
    """All tables."""
    return "\n\n".join(["## detect: the YOLO family", _overhead(), _streamed(), _accuracy(), _speed()])


def _photos() -> list[Path]:
    return [path for path in sorted((COCO / "images").glob("*.jpg")) if Image.open(path).size == (640, 480)]


def _overhead() -> str:
    photos = _photos()
    kilobytes = sum(path.stat().st_size for path in photos) / len(photos) / 1e3
    with ObjectDetector(Wish(YOLOV8)) as detector:
        _steps(detector, photos[0])
        looks = np.array([[_steps(detector, path) for _ in range(ROUNDS)] for path in photos])
    # The median and the best of each picture's looks, and of those the mean.
    usual, best = np.median(looks, axis=1).mean(axis=0), looks.min(axis=1).mean(axis=0)
    names = ("decode the JPEG", "letterbox and tensor", "the network", "boxes from the outputs")
    rows = [f"| {name} | {usual[place]:.2f} | {best[place]:.2f} |" for place, name in enumerate(names)]
    added, least = (float(times.sum() - times[2]) for times in (usual, best))
    return "\n".join(
        [
            "### What is added to the network: one picture alone",
            "",
            f"{len(photos)} pictures of 640x480 from COCO (JPEGs of {kilobytes:.0f} kB in the mean), YOLOv8n's topology"
            f" at 640x640, {ROUNDS} looks at each, CPU time on one thread: the mean over the pictures of each one's"
            " median, and of its best, which other work on the machine disturbs least.",
            "",
            "| step | ms | best ms |",
            "|---|---:|---:|",
            *rows,
            f"| **all but the network** | **{added:.2f}** | **{least:.2f}** |",
            "",
            f"That is {added / usual.sum():.1%} of the whole; {best[0]:.2f} ms of the best are reading and decoding the"
            f" file (libjpeg-turbo's part), {least - best[0]:.2f} the rest.",
        ]
    )


def _streamed() -> str:
    cores, photos = usable_cores(), _photos()
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as name, Detector(YOLOV8) as detector:
        for number, path in enumerate(photos * REPEATS):
            (Path(name) / f"{number:04}.jpg").write_bytes(path.read_bytes())
        count = len(photos) * REPEATS
        with ObjectDetector(Wish(YOLOV8)) as network, ThreadPoolExecutor(cores) as pool:
            shown = [network.prepare(decode(path).pixels) for path in photos] * REPEATS

            def alone() -> None:
                list(pool.map(network.run, shown))

            def whole() -> None:
                list(detector.stream(name, workers=cores))

            alone()
            whole()
            times = np.array([[_seconds(way) for way in (alone, whole)] for _ in range(ROUNDS)])
    each = times / count * 1e3
    added = np.median(each[:, 1] - each[:, 0])
    return "\n".join(
        [
            f"### What is added to the network: the same pictures as a stream, {cores} workers",
            "",
            f"Wall time a picture, {count} pictures, medians of {ROUNDS} turns: the network alone"
            f" {np.median(each[:, 0]):.2f} ms, from the files to the boxes {np.median(each[:, 1]):.2f} ms, added"
            f" **{added:.2f} ms** ({np.median(1 - each[:, 0] / each[:, 1]):.1%} of the whole)."
            f" Both keep {cores} cores busy; with more cores than the network uses, the rest is done beside it.",
        ]
    )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _steps(detector: ObjectDetector, path: Path) -> list[float]:
    """CPU milliseconds of decode, prepare, run and decode_result."""
    times = [time.thread_time()]
    picture = decode_for(path, detector.open()[1])
    times.append(time.thread_time())
    prepared = detector.prepare(picture.pixels)
    times.append(time.thread_time())
    outputs = detector.run(prepared)
    times.append(time.thread_time())
    detector.decode(outputs, prepared)
    times.append(time.thread_time())
    return [(later - earlier) * 1e3 for earlier, later in itertools.pairwise(times)]


def _accuracy() -> str:
    reference = _reference()
    lines = []
    for label, file, settings in ACCURACY:
        try:
            with Detector(MODELS / file, confidence=LEAST, iou=OVERLAP, **settings) as detector:
                found = evaluate_objects(COCO / "images", COCO / "labels", detector).result
        except EdgeproofError as error:
            lines.append(f"| {label} | {error.message} | | |")
            continue
        lines.append(
            f"| {label} | {found.map:.4f} | {(found.map or 0) - reference:+.4f} | {found.ap50:.4f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            "### yolox-nano on the 56 pictures of COCO val2017",
            "",
            "The reference is the published preprocessing (OpenCV) and decoding, on the same ONNX file.",
            "",
            "| engine and file | mAP | against the reference | AP50 |",
            "|---|---:|---:|---:|",
            f"| the reference | {reference:.4f} | | |",
            *lines,
        ]
    )


def _reference() -> float:
    look, answers = YoloXReference(YOLOX, LEAST, OVERLAP), []
    for file in sorted((COCO / "images").glob("*.jpg")):
        picture = decode(file)
        truth = read_yolo(COCO / "labels" / f"{file.stem}.txt", picture.width, picture.height)
        boxes, scores, classes = look(file)
        answers.append(Answered(boxes.astype(np.float64), scores, classes, truth))
    return mean_average_precision(answers).map or 0.0


def _speed() -> str:
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as name:
        folder = make_photos(Path(name) / "large", LARGE, (1920, 1080))
        both = {"model": str(YOLOV8), "workers": usable_cores()}
        ways: dict[str, list[str]] = {}
        if python := os.environ.get("EDGEPROOF_ULTRALYTICS_PYTHON"):
            ways["the ultralytics package, the same ONNX file"] = [
                python,
                str(HERE / "ultralytics_detect.py"),
                "{now}",
                str(YOLOV8),
                str(folder),
                "2",
            ]
        ways["edgeproof, ONNX Runtime, f32"] = _ours(folder, both)
        ways["edgeproof, ONNX Runtime, f32, one worker, its network on all cores"] = _ours(
            folder, {**both, "workers": 1, "threads": usable_cores()}
        )
        ways["edgeproof, OpenVINO, f32"] = _ours(folder, {**both, "engine": "openvino"})
        ways["edgeproof, OpenVINO, bf16"] = _ours(folder, {**both, **BF16})
        return _table(ways, str(Path(name) / "bytecode"))


def _table(ways: dict[str, list[str]], bytecode: str) -> str:
    for command in ways.values():  # compiles what is not compiled yet
        _run(command, bytecode)
    rates: dict[str, list[float]] = {way: [] for way in ways}
    firsts: dict[str, list[float]] = {way: [] for way in ways}
    peaks: dict[str, list[float]] = {way: [] for way in ways}
    objects: dict[str, float] = {}
    for turn in range(TURNS):
        for way in list(ways)[:: 1 if turn % 2 else -1]:
            answer = _run(ways[way], bytecode)
            rates[way].append(answer["images"] / answer["seconds"])
            firsts[way].append(answer["first_s"])
            peaks[way].append(answer["peak_mb"])
            objects[way] = answer["objects"] / answer["images"]
    first, lines = next(iter(ways)), []
    for way, found in rates.items():
        ratios = [mine / its for mine, its in zip(found, rates[first], strict=True)]
        lines.append(
            f"| {way} | {median(found):.2f} | {median(ratios):.2f}x | {min(ratios):.2f} to {max(ratios):.2f} |"
            f" {median(peaks[way]):.0f} | {median(peaks[way]) / median(peaks[first]):.2f} |"
            f" {median(firsts[way]):.2f} | {median(firsts[way]) / median(firsts[first]):.2f} | {objects[way]:.1f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(
        [
            f"### {LARGE} photos of 1920x1080, YOLOv8n's topology with seeded weights, all cores",
            "",
            f"From the file to the boxes. Medians of {TURNS} turns in which all took turns, each a process of its own;"
            " peak resident memory of the whole process; the first answer counts from its start.",
            "",
            "| way | images/s | times the first | in the turns | peak MB | of the first | first answer, s |"
            " of the first | objects an image |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *lines,
        ]
    )


def _ours(folder: Path, wish: dict[str, Any]) -> list[str]:
    given = json.dumps({**wish, "times": 2})
    return [sys.executable, str(HERE / "library_detect.py"), "{now}", str(folder), given]


def _run(command: list[str], bytecode: str) -> dict[str, Any]:
    given = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    now = [repr(time.time()) if part == "{now}" else part for part in command]
    done = subprocess.run(now, check=True, capture_output=True, text=True, env=given)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(section())
