"""`bench --soak`: one variant run without a pause, while memory, clock and heat are watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import EdgeproofError, UsageError
from edgeproof.devices.command import Runner, run_command
from edgeproof.measure.latencies import Shape, describe
from edgeproof.measure.leak import MOST_MB_A_DAY, Growth, confirmed, growth
from edgeproof.measure.observed import Reading, read_process
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import Variant, open_request
from edgeproof.measure.sensor_log import SensorLog
from edgeproof.measure.statistics import Values, percentile
from edgeproof.measure.steady import steady_from
from edgeproof.measure.throttle import Throttle, throttle

MOST_MINUTES = 7 * 24 * 60.0
_READINGS = 240  # of a run; no more often than every quarter of a second, no less often than every 10 seconds
_MOST_LATENCIES = 500_000  # kept; of each reading the first ones, so that neighbours stay neighbours
_SLACK_S = 120.0


@dataclass
class Soak:
    """What was seen of one variant; what it means is worked out from these.

    Attributes:
        seconds, rss_mb, pss_mb: (n,) one for each reading; PSS is empty where it can't be read.
        typical_ms: (n,) the median latency since the last reading.
        blocks: (n,) latencies of each reading, in ms; the first ones where there are too many to keep.
        opened: what its process answered when it opened: cold_s, load_s, first_ms, memory_mb, info.
        doubled: whether it went on for the same time again, as memory seemed to grow.
        error: why it ended early.
    """

    variant: Variant
    minutes: float
    seconds: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    pss_mb: list[float] = field(default_factory=list)
    typical_ms: list[float] = field(default_factory=list)
    blocks: list[Values] = field(default_factory=list)
    runs: int = 0
    sensors: SensorLog = field(default_factory=SensorLog)
    doubled: bool = False
    opened: dict[str, Any] = field(default_factory=dict)
    error: EdgeproofError | None = None
    most_mb_per_day: float = MOST_MB_A_DAY

    def add(self, reading: Reading, latencies: Values, keep: int) -> None:
        """Take over one reading and the latencies since the last one."""
        self.seconds.append(reading.at)
        self.rss_mb.append(reading.rss_mb)
        if reading.pss_mb is not None:
            self.pss_mb.append(reading.pss_mb)
        self.typical_ms.append(float(np.median(latencies)))
        self.blocks.append(latencies[:keep])
        self.runs += len(latencies)
        self.sensors.read()

    @property
    def memory(self) -> dict[str, Growth]:
        """How RSS and PSS grew; "growing" only until a doubled run has shown whether it goes on."""
        look = confirmed if self.doubled else growth
        series = {"rss": self.rss_mb, "pss": self.pss_mb}
        return {
            name: look(
                np.array(self.seconds if len(values) == len(self.seconds) else []),
                np.array(values),
                most_mb_per_day=self.most_mb_per_day,
            )
            for name, values in series.items()
        }

    @property
    def latencies_ms(self) -> Values:
        """All that were kept, in order."""
        return np.concatenate(self.blocks) if self.blocks else np.empty(0)

    @property
    def steady_after_s(self) -> float | None:
        """When the latency was steady; None where it never was, or that can't be said."""
        found = steady_from(np.array(self.typical_ms))
        return None if found is None else self.seconds[found] - self.seconds[0]


def soak(
    variant: Variant,
    inputs: Mapping[str, Path],
    *,
    minutes: float,
    most_mb_per_day: float = MOST_MB_A_DAY,
    root: Path = Path("/"),
    runner: Runner = run_command,
    progress: Callable[[float], None] = lambda _share: None,
    stop: Callable[[], bool] = lambda: False,
) -> Soak:
    """Run one variant for some minutes in a process of its own; as long again where its memory seems to grow.

    Arguments:
        inputs: the rows (.npy) that feed each input, for a variant that has none of its own.
        most_mb_per_day: growth of memory that is accepted.
        root, runner: stand for `/` and for `vcgencmd` where clock and heat are read; fakes in tests.
        progress: told the share that is done, 0 to 1, and begins anew for the second time.
        stop: asked at each reading whether to end early.

    Raises:
        UsageError: the minutes are not above 0, or more than a week.
    """
    if not 0 < minutes <= MOST_MINUTES:
        raise UsageError(
            f"A soak of {minutes:g} minutes can't be run.",
            hint=f"Give a number above 0, up to {MOST_MINUTES:g}.",
        )
    seen = Soak(variant, minutes, sensors=SensorLog(root, runner), most_mb_per_day=most_mb_per_day)
    length = minutes * 60
    every = float(np.clip(length / _READINGS, 0.25, 10.0))
    keep = max(1, int(_MOST_LATENCIES / (2 * length / every)))
    try:
        with WorkerProcess(variant.worker) as worker:
            opened = worker.ask(open_request(variant, inputs, worker.spawned), _SLACK_S)
            seen.opened = opened
            typical = opened["first_ms"]
            end = time.monotonic() + length
            while not stop():
                typical = _reading(seen, worker, every, typical, keep)
                left = end - time.monotonic()
                progress(min(1.0, 1 - left / length))
                if left > 0:
                    continue
                if seen.doubled or not any(found.verdict == "growing" for found in seen.memory.values()):
                    break
                seen.doubled, end = True, time.monotonic() + length
    except EdgeproofError as error:
        seen.error = error
    return seen


def _reading(seen: Soak, worker: WorkerProcess, every: float, typical: float, keep: int) -> float:
    count = max(1, int(every * 1e3 / max(typical, 1e-3)))
    latencies = np.array(worker.ask({"do": "time", "runs": count}, every * 20 + _SLACK_S)["latency_ms"])
    reading = read_process(worker.pid)
    if reading is not None:
        seen.add(reading, latencies, keep)
    return float(np.median(latencies))


def document(seen: Soak) -> dict[str, Any]:
    """What a soak showed, and the raw series that it rests on."""
    shape: Shape | None = describe(seen.latencies_ms) if seen.runs else None
    heat: Throttle = throttle(np.array(seen.typical_ms), seen.sensors.sensors())
    start = seen.seconds[0] if seen.seconds else 0.0
    return {
        "id": seen.variant.id,
        "minutes": seen.minutes,
        "ran_s": seen.seconds[-1] - start if seen.seconds else None,
        "doubled": seen.doubled,
        "runs": seen.runs,
        "verdict": verdict(seen, heat, shape),
        "memory": {name: found.as_json() for name, found in seen.memory.items()},
        "throttle": heat.as_json(),
        "latency_ms": {
            name: percentile(seen.latencies_ms, p)
            for name, p in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))
        },
        "shape": shape.as_json() if shape else None,
        "steady_after_s": seen.steady_after_s,
        "sensors": seen.sensors.summary(),
        "error": seen.error.as_json() if seen.error else None,
        "series": {
            "seconds": [round(value - start, 3) for value in seen.seconds],
            "rss_mb": [round(value, 3) for value in seen.rss_mb],
            "pss_mb": [round(value, 3) for value in seen.pss_mb] or None,
            "latency_ms": [round(value, 4) for value in seen.typical_ms],
        },
    }


def verdict(seen: Soak, heat: Throttle, shape: Shape | None) -> str:
    """In a word: "failed", "leak", "throttled", "slows down", "steady", or "not enough evidence"."""
    if seen.error:
        return "failed"
    memory = {found.verdict for found in seen.memory.values()} - {"not measured"}
    if memory == {
        "leak"
    }:  # both, where both can be read: pages of a file that fill up are in one of them only
        return "leak"
    if heat.verdict == "throttled":
        return "throttled"
    if shape is not None and _slows_down(shape):
        return "slows down"
    return "steady" if memory else "not enough evidence"


def _slows_down(shape: Shape) -> bool:
    later = shape.drift.total if shape.drift else shape.step.ratio - 1 if shape.step else 0.0
    return later > 0
