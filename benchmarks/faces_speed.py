"""Faces: images a second and memory, against the plain serial way and against the insightface package.

EDGEPROOF_INSIGHTFACE_PYTHON names a Python that has insightface, onnxruntime and OpenCV; without it those rows are
left out. EDGEPROOF_FACES_MANY: how many pictures memory is watched over.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from edgeproof.library.faces.benchmark import sample_crops
from edgeproof.library.faces.candidates import int8_bundle
from edgeproof.library.faces.faces import Faces
from edgeproof.tasks.face_detection import FaceDetector
from edgeproof.tasks.face_recognition import FaceRecognizer
from edgeproof.verify.importing import import_network
from ir_backbone import make
from photos import SHARED
from scrfd_from_yunet import scrfd_from_yunet

HERE = Path(__file__).resolve().parent
LFW = SHARED / "data" / "lfw" / "images"
YUNET, MOBILEFACENET = (
    SHARED / "models" / "yunet-n-dynamic.onnx",
    SHARED / "models" / "mobilefacenet-foamliu.onnx",
)
TURNS, EIGHTS, SMALL, MANY = 5, 16, 600, int(os.environ.get("EDGEPROOF_FACES_MANY", "10000"))
BF16 = {"engine": "openvino", "options": {"precision": "bf16"}}
BUDGET = 160e6


def section() -> str:
    """All tables."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as folder:
        work = Path(folder)
        eight, small, models = work / "eight", work / "small", work / "models"
        _eight_faces(eight)
        _small(small)
        int8 = _int8(MOBILEFACENET, work / "int8.edge", 64)
        models.mkdir()
        (models / "det_scrfd.onnx").write_bytes(scrfd_from_yunet(YUNET))
        shutil.copy(MOBILEFACENET, models / "rec.onnx")
        common = {"detector": str(YUNET), "recognizer": str(MOBILEFACENET)}
        at_640 = {**common, "long_side": 640}
        ways: dict[str, list[str]] = {
            "serial f32: the article's code, full size": _naive(MOBILEFACENET, eight),
            "pipeline, the same files, long side 832 (the default)": _ours(eight, common),
            "pipeline, the same files, long side 640": _ours(eight, at_640),
            "pipeline, INT8 recogniser, long side 832 (the default)": _ours(
                eight, {**common, "recognizer": str(int8)}
            ),
            "pipeline, INT8 recogniser, long side 640": _ours(eight, {**at_640, "recognizer": str(int8)}),
            "pipeline, OpenVINO bf16 recogniser, long side 640": _ours(eight, {**at_640, **BF16}),
        }
        if python := os.environ.get("EDGEPROOF_INSIGHTFACE_PYTHON"):
            ways["the insightface package, SCRFD's form of the same detector, 640x640"] = [
                python,
                str(HERE / "insightface_faces.py"),
                str(models),
                str(eight),
            ]
            ways["pipeline on those same two files, long side 640"] = _ours(
                eight, {**at_640, "detector": str(models / "det_scrfd.onnx")}
            )
        tables = [_table(f"{EIGHTS} photos of 1600x1200 with 8 faces each, MobileFaceNet", ways)]
        heavy = import_network(make(work, "IR-50"), work / "ir-50.onnx").output
        heavy_int8 = _int8(heavy, work / "ir-50-int8.edge", 40)
        ways = {
            "serial f32: the article's code, full size": _naive(heavy, eight),
            "pipeline, the same files, long side 640": _ours(eight, {**at_640, "recognizer": str(heavy)}),
            "pipeline, INT8 recogniser, long side 640": _ours(
                eight, {**at_640, "recognizer": str(heavy_int8)}
            ),
            "pipeline, OpenVINO bf16 recogniser, long side 640": _ours(
                eight, {**at_640, "recognizer": str(heavy), **BF16}
            ),
        }
        tables.append(
            _table("The same photos, IR-50 of CurricularFace's form with seeded weights", ways, turns=2)
        )
        at_256 = {**common, "long_side": 256}
        ways = {
            "serial f32: the article's code": _naive(MOBILEFACENET, small),
            "pipeline, long side 256": _ours(small, at_256),
            "pipeline, INT8 recogniser, long side 256": _ours(small, {**at_256, "recognizer": str(int8)}),
            "pipeline, OpenVINO bf16 recogniser, long side 256": _ours(small, {**at_256, **BF16}),
            "pipeline, the default: enlarged where faces are small": _ours(small, common),
        }
        tables.append(_table(f"{SMALL} pictures of 250x250 (LFW)", ways))
        memory = _memory(small, {**at_256, "mem_budget": BUDGET, "limit": MANY, "times": -(-MANY // SMALL)})
    return "\n\n".join(["## Faces: images a second, and memory", *tables, memory])


def _table(title: str, ways: dict[str, list[str]], turns: int = TURNS) -> str:
    first = next(iter(ways))
    rates: dict[str, list[float]] = {way: [] for way in ways}
    last: dict[str, dict[str, Any]] = {}
    peaks: dict[str, float] = dict.fromkeys(ways, 0.0)
    for turn in range(turns):
        for way in list(ways)[:: 1 if turn % 2 else -1]:
            last[way] = _run(ways[way])
            rates[way].append(last[way]["images"] / last[way]["seconds"])
            peaks[way] = max(peaks[way], last[way]["peak_mb"])
    lines = [
        f"### {title}",
        "",
        f"Medians of {turns} turns in which all took turns; peak resident memory of the whole process.",
        "",
        "| way | images/s | times the first | in the turns | peak MB | of the first | faces an image |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way, found in rates.items():
        ratios = [mine / its for mine, its in zip(found, rates[first], strict=True)]
        lines.append(
            f"| {way} | {median(found):.1f} | {median(ratios):.2f}x | {min(ratios):.2f} to {max(ratios):.2f} |"
            f" {peaks[way]:.0f} | {peaks[way] / peaks[first]:.2f} | {last[way]['faces'] / last[way]['images']:.2f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def _memory(folder: Path, wish: dict[str, Any]) -> str:
    answer = _run(_ours(folder, wish))
    resident = answer["resident_mb"]
    half = resident[len(resident) // 2 :]
    per = answer["images"] / len(resident)
    slopes = [
        (b - a) / ((j - i) * per) * 1e3 for i, a in enumerate(half) for j, b in enumerate(half) if j > i
    ]
    return "\n".join(
        [
            f"### {answer['images']:,} pictures with --mem-budget {BUDGET / 1e6:.0f}MB",
            "",
            f"Peak resident memory {answer['peak_mb']:.1f} MB; over the second half it went from {half[0]:.1f} to"
            f" {half[-1]:.1f} MB, the median slope (Theil-Sen) being {np.median(slopes):+.3f} kB an image."
            f" {answer['images'] / answer['seconds']:.1f} images a second.",
        ]
    )


def _eight_faces(folder: Path) -> None:
    """Photos with eight faces, laid out as a group stands."""
    folder.mkdir()
    sources = sorted(LFW.rglob("*.jpg"))[:: len(sorted(LFW.rglob("*.jpg"))) // (8 * EIGHTS)]
    for number in range(EIGHTS):
        canvas = Image.new("RGB", (1600, 1200), (90, 100, 110))
        for place in range(8):
            face = Image.open(sources[number * 8 + place]).resize((360, 360), Image.Resampling.BICUBIC)
            canvas.paste(face, (20 + 400 * (place % 4), 120 + 560 * (place // 4)))
        canvas.save(folder / f"{number:03}.jpg", quality=92)


def _small(folder: Path) -> None:
    folder.mkdir()
    for number, source in enumerate(sorted(LFW.rglob("*.jpg"))[:SMALL]):
        shutil.copyfile(source, folder / f"{number:04}.jpg")


def _int8(model: Path, bundle: Path, crops: int) -> Path:
    """Calibrated on pictures that are measured, not on those that accuracy is told of."""
    recognizer = FaceRecognizer(model)
    with Faces(FaceDetector(YUNET), recognizer) as faces:
        found = sample_crops(sorted(LFW.rglob("*.jpg"))[::20], faces.open(), crops)
        return int8_bundle(recognizer, found, bundle)


def _naive(recognizer: Path, folder: Path) -> list[str]:
    return [sys.executable, str(HERE / "naive_faces.py"), str(YUNET), str(recognizer), str(folder)]


def _ours(folder: Path, wish: dict[str, Any]) -> list[str]:
    return [sys.executable, str(HERE / "library_faces.py"), str(folder), json.dumps(wish)]


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(section())
