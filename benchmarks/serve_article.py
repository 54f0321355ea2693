"""The service against the article's own program, with the same three networks, taking turns.

Needs Flask and OpenCV beside edgeproof[serve,fit]: pip install flask "opencv-python-headless<5"
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from onnx.numpy_helper import to_array
from PIL import Image

from edgeproof.formats.caffe import read
from edgeproof.measure.statistics import percentile
from edgeproof.optimize.calibrate import collect_ranges
from edgeproof.optimize.int8 import static_int8
from edgeproof.optimize.simplify import simplify
from edgeproof.serve.memory import pss_bytes
from http_load import Load, run_clients, upload
from photos import SHARED
from res10_caffe import caffemodel, write_caffe

MODELS = SHARED / "models"
PERSON = SHARED / "data" / "facedet" / "images" / "maksssksksss660.jpg"
SCALE = float(os.environ.get("EDGEPROOF_BENCH_SCALE", "1"))
ROUNDS, TURN_S = 5, 8 * SCALE
CLIENTS = 4
SIZES = {"640 x 480": (640, 480), "12 megapixels": (4000, 3000)}
BUDGET = "400MB"
_CALIBRATION = 8


@dataclass
class Program:
    """One of those compared, running."""

    process: subprocess.Popen[bytes]
    port: int
    loads: dict[str, list[Load]] = field(default_factory=dict)
    idle_mb: float = 0.0
    peak_mb: float = 0.0

    def memory_mb(self) -> float:
        """The proportional set size of the process and its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(pss_bytes(pid) or 0 for pid in [self.process.pid, *map(int, children)]) / 1e6


def section() -> str:
    """Requests a second, memory and errors of each."""
    if importlib.util.find_spec("flask") is None:
        raise SystemExit("serve_article needs Flask for the other side: pip install flask")
    with tempfile.TemporaryDirectory(prefix="edgeproof-bench-") as name, contextlib.ExitStack() as stack:
        files = networks(Path(name))
        programs = {
            "Flask and OpenCV": stack.enter_context(_article(files)),
            "edgeproof, float32": stack.enter_context(_edgeproof(files, "")),
            "edgeproof, INT8": stack.enter_context(_edgeproof(files, "-int8")),
        }
        _measure(programs)
        return _page(programs)


def networks(folder: Path) -> dict[str, Path]:
    """The three networks as Caffe pairs, as ONNX, and as INT8 by `optimize`; random weights of the age and gender
    networks, which can't be had, from the seed 1."""
    graph = MODELS / "opencv-face-detector-uint8.pb"
    files = {"pb": graph, "detector": write_caffe(graph, folder / "detector.prototxt")}
    for name in ("age", "gender"):
        text = MODELS / f"levi-hassner-{name}.prototxt"
        stored = {one.name: to_array(one) for one in read(text, seed=1).model.graph.initializer}
        layers = [key.removesuffix("/weight") for key in stored if key.endswith("/weight")]
        files[name] = folder / f"{name}.prototxt"
        files[name].write_text(text.read_text())
        pairs = {layer: [stored[f"{layer}/weight"], stored[f"{layer}/bias"]] for layer in layers}
        files[name].with_suffix(".caffemodel").write_bytes(caffemodel(pairs))
    for name, side in (("detector", 300), ("age", 227), ("gender", 227)):
        model = read(files[name]).model
        simple = simplify(model).model
        samples = ({model.graph.input[0].name: blob} for blob in _samples(side))
        small = static_int8(simple, collect_ranges(simple, samples).minmax()).model
        onnx.save(model, folder / f"{name}.onnx")
        onnx.save(small, folder / f"{name}-int8.onnx")
        files[f"{name}.onnx"], files[f"{name}-int8.onnx"] = (
            folder / f"{name}.onnx",
            folder / f"{name}-int8.onnx",
        )
    return files


def _samples(side: int) -> Iterator[Any]:
    """Faces in the form of the networks: float32 (1, 3, side, side), BGR less the mean."""
    for path in sorted(PERSON.parent.glob("*.jpg"))[:_CALIBRATION]:
        pixels = np.asarray(Image.open(path).convert("RGB").resize((side, side)), np.float32)[:, :, ::-1]
        yield np.ascontiguousarray((pixels - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1)[None])


@contextlib.contextmanager
def _article(files: dict[str, Path]) -> Iterator[Program]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(__file__).with_name("article_service.py")
    caffe = [str(files[name].with_suffix(".caffemodel")) for name in ("age", "gender")]
    process = subprocess.Popen(
        [sys.executable, str(script), str(port), str(files["pb"]), *caffe],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield Program(process, port)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _edgeproof(files: dict[str, Path], kind: str) -> Iterator[Program]:
    command = [
        sys.executable,
        "-m",
        "edgeproof",
        "serve",
        "--task",
        "attributes",
        "--port",
        "0",
        "--json",
        "-q",
    ]
    for option, name in (
        ("attributes", "age"),
        ("attributes-gender", "gender"),
        ("attributes-detector", "detector"),
    ):
        command += ["--model", f"{option}={files[f'{name}{kind}.onnx']}"]
    process = subprocess.Popen([*command, "--mem-budget", BUDGET], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Program(process, json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        process.wait()


def _measure(programs: dict[str, Program]) -> None:
    pictures = {name: _photo(size) for name, size in SIZES.items()}
    for program in programs.values():
        for picture in pictures.values():
            _load(program, picture, 0.1)
        program.idle_mb = program.memory_mb()
    for turn in range(ROUNDS):
        for size, picture in pictures.items():
            for name in sorted(programs, key=lambda one: hash((one, turn))):
                programs[name].loads.setdefault(size, []).append(_load(programs[name], picture, TURN_S))


def _load(program: Program, picture: bytes, seconds: float) -> Load:
    async def go() -> Load:
        load = asyncio.create_task(
            run_clients(
                program.port, [upload(picture, "/predict")], clients=CLIENTS, seconds=seconds, normal=_faces
            )
        )
        while not load.done():
            program.peak_mb = max(program.peak_mb, program.memory_mb())
            await asyncio.sleep(0.2)
        return await load

    return asyncio.run(go())


def _faces(body: bytes) -> bytes:
    document = json.loads(body)
    return str(len(document.get("result", document)["faces"])).encode()


def _photo(size: tuple[int, int]) -> bytes:
    """One person, upright, with a camera's grain."""
    person = Image.open(PERSON).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, 6, (size[1], size[0], 1)).astype(np.int16)
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(person, np.int16) + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _page(programs: dict[str, Program]) -> str:
    first = next(iter(programs.values()))
    rows = []
    for name, program in programs.items():
        cells = []
        for size, loads in program.loads.items():
            rates = [len(load.latencies_s) / TURN_S for load in loads]
            times = [
                mine / theirs
                for mine, theirs in zip(
                    rates, (len(one.latencies_s) / TURN_S for one in first.loads[size]), strict=True
                )
            ]
            took = [latency for load in loads for latency in load.latencies_s]
            cells.append(
                f"{median(rates):.1f} ({median(times):.2f} x), p50 {(percentile(took, 0.5) or 0) * 1e3:.0f} ms"
            )
        every = [load for loads in program.loads.values() for load in loads]
        wrong = sum(count for load in every for status, count in load.statuses.items() if status != 200)
        faces = b" or ".join(sorted({body for load in every for body in load.bodies})).decode()
        memory = f"{program.idle_mb:.0f} / {program.peak_mb:.0f} ({program.peak_mb / first.peak_mb:.0%})"
        rows.append(f"| {name} | {' | '.join(cells)} | {memory} | {wrong} | {faces} |")
    heads = " | ".join(f"{size}: a second (ratio)" for size in SIZES)
    return "\n".join(
        [
            "## serve, against the article's program",
            "",
            "The age and gender service as articles build it, Flask and OpenCV's DNN module"
            " (`benchmarks/article_service.py`), and `edgeproof serve --task attributes`, with the same three"
            " networks: OpenCV's res10 detector of faces, and the pair of Levi and Hassner, whose weights can't be had"
            " and are random here (one seed), so that nothing is said of accuracy. Ours are imported by our Caffe"
            f" reader; INT8 is `optimize`'s. One person in each picture, {CLIENTS} clients, {ROUNDS} turns of"
            f" {TURN_S:g} s each; ratios are of neighbouring turns. Memory is the proportional set size of all"
            " processes, after the first answers and at its peak.",
            "",
            f"| | {heads} | MB idle / peak | answers not 200 | faces found |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    print(section())
