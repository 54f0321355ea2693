"""The HTTP service: overload, and workers that are killed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from edgeproof.measure.statistics import percentile
from edgeproof.serve.memory import pss_bytes
from http_load import Load, run_clients, upload
from photos import SHARED, UPRIGHT

TASK = "attributes"
# One face; the portrait stands in the middle of each picture.
FACE = SHARED / "data" / "facedet" / "images" / "maksssksksss660.jpg"
# Seconds of each part; a shorter look: EDGEPROOF_BENCH_SCALE=0.1
SCALE = float(os.environ.get("EDGEPROOF_BENCH_SCALE", "1"))
OVERLOAD_S, KILLS_S, KILL_EVERY_S = 60 * SCALE, 120 * SCALE, 5.0
LARGE = (4000, 3000)
CLIENTS = 64
# An installation has its Python files compiled, whatever this shell says about that: the first start does it here.
COMPILED = tempfile.TemporaryDirectory(prefix="edgeproof-compiled-")


@dataclass
class Server:
    """A running service, and what its processes took, five times a second."""

    process: subprocess.Popen[bytes]
    port: int
    pss_mb: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def watch(self) -> None:
        """Sample until `end`."""
        while not self._ended.wait(0.2):
            with contextlib.suppress(OSError):
                pids = [self.process.pid, *self.workers]
                self.pss_mb.append(sum(pss_bytes(pid) or 0 for pid in pids) / 1e6)

    def end(self) -> None:
        """SIGTERM, and wait."""
        self._ended.set()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextlib.contextmanager
def server(*options: str, cores: set[int] | None = None) -> Iterator[Server]:
    """`edgeproof serve --task attributes` while the block runs, on some of the cores or all."""
    command = [sys.executable, "-m", "edgeproof", "serve", "--task", TASK, "--port", "0", "--json", "-q"]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": COMPILED.name}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or ours)  # which a new process inherits
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, env=environment)
    os.sched_setaffinity(0, ours)
    assert process.stdout is not None
    running = Server(process, json.loads(process.stdout.readline())["port"])
    threading.Thread(target=running.watch, daemon=True).start()
    try:
        yield running
    finally:
        running.end()


def section() -> str:
    """All parts, one after the other."""
    small = jpeg((640, 480))
    lines = [
        "## serve: overload and killed workers",
        "",
        f"`edgeproof serve --task {TASK}` with its default options; memory is the proportional set size,"
        " summed over all its processes, read five times a second. The load comes from this same machine, and takes its"
        " share of the cores.",
        "",
        "| | measured |",
        "|---|---|",
    ]
    with server() as one:
        asyncio.run(run_clients(one.port, [upload(small, "/predict")], clients=1, seconds=2))
        lines += _overload(one, small)
    lines += _kills(small)
    return "\n".join(lines)


def _overload(one: Server, picture: bytes) -> list[str]:
    request = [upload(picture, "/predict")]
    calm = asyncio.run(run_clients(one.port, request, clients=1, seconds=5 * SCALE))
    full = asyncio.run(run_clients(one.port, request, clients=4, seconds=5 * SCALE))
    capacity = len(full.latencies_s) / (5 * SCALE)
    one.pss_mb.clear()
    # Half of what they send is too much: each of those refused comes again when it is its turn at that rate.
    load = asyncio.run(
        run_clients(one.port, request, clients=CLIENTS, seconds=OVERLOAD_S, pause_s=CLIENTS / capacity)
    )
    ratio = _at(load, 0.99) / max(_at(calm, 0.5), 1e-9)
    return [
        f"| {CLIENTS} clients for {OVERLOAD_S:.0f} s, twice its capacity of {capacity:.0f} a second: requests |"
        f" {percentiles(load)}; {counts(load)} |",
        f"| the same: p99 of the admitted against the median unloaded | {ratio:.1f} times |",
        f"| the same: answers 503 without Retry-After, peak memory | {load.without_retry_after},"
        f" {max(one.pss_mb):.0f} MB |",
    ]


def _kills(picture: bytes) -> list[str]:
    with server() as one:
        asyncio.run(run_clients(one.port, [upload(picture, "/predict")], clients=1, seconds=0.1))
        load, kills = asyncio.run(_load_and_kill(one, picture))
    return [
        f"| a worker killed (SIGKILL) every {KILL_EVERY_S:.0f} s for {KILLS_S:.0f} s, 4 clients | {kills} kills;"
        f" {counts(load)}; {len(load.bodies)} different answers to one picture; the longest took"
        f" {load.longest_s:.2f} s |"
    ]


async def _load_and_kill(one: Server, picture: bytes) -> tuple[Load, int]:
    kills = 0

    async def kill() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(KILL_EVERY_S)
            for pid in one.workers[:1]:
                os.kill(pid, signal.SIGKILL)
                kills += 1

    killing = asyncio.create_task(kill())
    load = await run_clients(
        one.port, [upload(picture, "/predict")], clients=4, seconds=KILLS_S, normal=_result_only
    )
    killing.cancel()
    return load, kills


def _result_only(body: bytes) -> bytes:
    return json.dumps(json.loads(body)["result"]).encode()


def jpeg(size: tuple[int, int], seed: int = 0) -> bytes:
    """A photo of one person, with as much grain as a camera's, so that the file is as large as a real one."""
    source = (
        Image.open(sorted(UPRIGHT.glob("*.jpg"))[seed]).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    )
    person = Image.open(FACE).convert("RGB")
    person = person.resize((round(size[1] * person.width / person.height), size[1]), Image.Resampling.BICUBIC)
    source.paste(person, ((size[0] - person.width) // 2, 0))
    grain = np.random.default_rng(seed).normal(0, 6, (size[1], size[0], 1)).astype(np.int16)
    pixels = (np.asarray(source, np.int16) + grain).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def percentiles(load: Load) -> str:
    values = {name: percentile(load.latencies_s, p) for name, p in (("p50", 0.5), ("p99", 0.99))}
    return ", ".join(
        f"{name} {'n/a' if value is None else f'{value * 1e3:.1f} ms'}" for name, value in values.items()
    )


def _at(load: Load, p: float) -> float:
    return percentile(load.latencies_s, p) or max(load.latencies_s, default=0.0)


def counts(load: Load) -> str:
    return ", ".join(
        f"{count:,} {'without an answer' if status == 0 else f'x {status}'}"
        for status, count in sorted(load.statuses.items())
    )


def slope(values: Sequence[float]) -> float:
    """Theil-Sen, over at most 200 of the values."""
    step = max(1, len(values) // 200)
    some = values[::step]
    slopes = [(b - a) / ((j - i) * step) for i, a in enumerate(some) for j, b in enumerate(some) if j > i]
    return float(median(slopes)) if slopes else 0.0


if __name__ == "__main__":
    print(re.sub(r"\n{3,}", "\n\n", section()))
