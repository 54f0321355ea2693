"""Runners with known properties, to test the measurer itself: what it should find was put there.

Every trace is made from a seed. Latencies are log-normal with a spread of 3 to 12 % that hangs together (a
first-order autoregression of 0.2 to 0.7 between runs), and one run in 500 to 2,000 is delayed by something else.
Memory is read every 50 runs, in pages of 4 KiB, with noise that hangs together too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeproof.measure.statistics import Values
from edgeproof.measure.throttle import Sensors

RUNS = 20_000
_EVERY = 50  # runs between two readings of the memory
_PAGE_MB = 4096 / 1e6


@dataclass(frozen=True)
class Trace:
    """What a runner showed, with the truth about it.

    Attributes:
        latency_ms: (runs,). seconds, memory_mb: (readings,).
        at: the run where something begins, for a step; None elsewhere.
    """

    latency_ms: Values = field(default_factory=lambda: np.empty(0))
    seconds: Values = field(default_factory=lambda: np.empty(0))
    memory_mb: Values = field(default_factory=lambda: np.empty(0))
    sensors: Sensors = field(default_factory=Sensors)
    at: int | None = None


def related(random: np.random.Generator, n: int, r: float) -> Values:
    """(n,) standard normal values of a first-order autoregression with coefficient `r`."""
    shocks = random.normal(size=n) * np.sqrt(1 - r * r)
    shocks[0] = random.normal()
    # A filter of that many taps is the recursion to 1e-9, without a loop over the runs.
    taps = r ** np.arange(min(n, 1 + int(np.ceil(np.log(1e-9) / np.log(r)))) if r > 0 else 1)
    values: Values = np.convolve(shocks, taps)[:n]
    return values


def log_normal(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """Latencies of one mode that nothing happens to."""
    noise = related(random, runs, random.uniform(0.2, 0.7)) * random.uniform(0.03, 0.12)
    values = random.uniform(2, 40) * np.exp(noise)
    delayed = random.random(runs) < 1 / random.uniform(500, 2000)
    return Trace(latency_ms=np.where(delayed, values * random.uniform(1.5, 8, runs), values))


def noisy_neighbour(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """The same, with 10 to 40 bursts of 5 to 60 slow runs at random moments."""
    values = log_normal(random, runs).latency_ms
    for start in random.integers(0, runs, size=random.integers(10, 41)):
        values[start : start + random.integers(5, 61)] *= random.uniform(1.3, 3)
    return Trace(latency_ms=values)


def step(random: np.random.Generator, runs: int = RUNS, ratio: float = 1.1) -> Trace:
    """A level that rises by 10 % between a fifth and four fifths of the way."""
    at = int(random.uniform(0.2, 0.8) * runs)
    values = log_normal(random, runs).latency_ms
    values[at:] *= ratio
    return Trace(latency_ms=values, at=at)


def drift(random: np.random.Generator, runs: int = RUNS, total: float = 0.1) -> Trace:
    """A level that rises steadily, by 10 % over the trace."""
    return Trace(latency_ms=log_normal(random, runs).latency_ms * np.linspace(1, 1 + total, runs))


def periodic_stall(
    random: np.random.Generator, runs: int = RUNS, every: int = 50, times: float = 5.0
) -> Trace:
    """Every 50th run takes 5 times as long."""
    values = log_normal(random, runs).latency_ms
    values[random.integers(every) :: every] *= times
    return Trace(latency_ms=values)


def two_modes(random: np.random.Generator, runs: int = RUNS, apart: float = 1.6) -> Trace:
    """Runs that switch between two levels, 60 % apart, in stretches of 3 to 30; 25 to 75 % are slow."""
    stay = 1 - 1 / random.uniform(3, 30)
    share = random.uniform(0.25, 0.75)
    leave = (1 - stay) * share / (1 - share)
    lengths = np.maximum(1, random.geometric(np.tile([min(1.0, leave), 1 - stay], runs // 2 + 1)[: runs + 1]))
    slow = np.repeat(np.arange(len(lengths)) % 2 == 1, np.minimum(lengths, runs))[:runs]
    values = log_normal(random, runs).latency_ms
    return Trace(latency_ms=np.where(slow, values * apart, values))


def warm_up(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """Runs that begin at 1.5 to 3 times the level and settle within 1 to 10 % of the trace; `at`: 95 % there."""
    values = log_normal(random, runs).latency_ms
    pace = random.uniform(0.01, 0.1) * runs / 3
    return Trace(
        latency_ms=values * (1 + random.uniform(0.5, 2) * np.exp(-np.arange(runs) / pace)), at=int(3 * pace)
    )


def _memory(random: np.random.Generator, runs: int) -> tuple[Values, Values]:
    """When memory is read, over twice `runs`, and what a process shows that does not grow."""
    readings = 2 * runs // _EVERY
    seconds = np.cumsum(_EVERY * random.uniform(2e-3, 20e-3) * np.exp(0.05 * random.normal(size=readings)))
    noise = related(random, readings, random.uniform(0.3, 0.95)) * random.uniform(0.05, 1.0)
    return seconds, random.uniform(40, 400) + noise


def _read(seconds: Values, memory_mb: Values) -> Trace:
    return Trace(seconds=seconds, memory_mb=np.round(memory_mb / _PAGE_MB) * _PAGE_MB)


def steady_memory(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """Memory that only jitters."""
    return _read(*_memory(random, runs))


def leak(random: np.random.Generator, runs: int = RUNS, kb_a_run: float = 1.0) -> Trace:
    """1,000 bytes a run that are never given back, taken from the system in pieces of 4 KiB to 4 MiB."""
    seconds, level = _memory(random, runs)
    taken = kb_a_run * 1e-3 * _EVERY * np.arange(1, len(seconds) + 1)
    piece = 4096 * 2.0 ** random.integers(0, 11) / 1e6
    return _read(seconds, level + np.ceil(taken / piece) * piece)


def plateau(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """An allocator that fills its pool, by 5 to 80 MB within 5 to 60 % of the first run, and needs no more."""
    seconds, level = _memory(random, runs)
    pace = random.uniform(0.05, 0.6) * runs / _EVERY / 3
    return _read(seconds, level + random.uniform(5, 80) * (1 - np.exp(-np.arange(len(seconds)) / pace)))


def staircase(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """An arena that grows by 4 MB, 1 to 6 times at random moments of the two runs, each when a rare input comes."""
    seconds, level = _memory(random, runs)
    for at in random.integers(0, len(seconds), size=random.integers(1, 7)):
        level[at:] += 4 * 1.048576
    return _read(seconds, level)


def sawtooth(random: np.random.Generator, runs: int = RUNS) -> Trace:
    """A garbage collector: memory that grows by 2 to 30 MB and is given back, 6 to 40 times in the first run."""
    seconds, level = _memory(random, runs)
    period = runs / _EVERY / random.uniform(6, 40)
    phase = (np.arange(len(seconds)) / period + random.random()) % 1.0
    return _read(seconds, level + random.uniform(2, 30) * phase)


def throttled(random: np.random.Generator, readings: int = 120) -> Trace:
    """A device that heats up to its trip point, drops its clock by 15 to 50 % there, and slows down as much.

    It stays down for 60 to 100 % of the time: many go up and down to hold the temperature.
    """
    at = int(random.uniform(0.3, 0.7) * readings)
    trip = random.uniform(70, 95)
    trace = _device(random, readings, end=trip - random.uniform(0, 3), trip=trip)
    factor = random.uniform(0.5, 0.85)
    mhz, latency = trace.sensors.mhz, trace.latency_ms
    down = (np.arange(readings) >= at) & (random.random(readings) < random.uniform(0.6, 1.0))
    mhz[down] *= factor
    latency[down] /= factor
    return Trace(latency_ms=latency, sensors=trace.sensors, at=at)


def warm_device(random: np.random.Generator, readings: int = 120) -> Trace:
    """A device that heats up, stays well below its trip point, and keeps its clock."""
    trip = random.uniform(70, 95)
    return _device(random, readings, end=trip - random.uniform(10, 30), trip=trip)


def slower_but_cool(random: np.random.Generator, readings: int = 120) -> Trace:
    """Latency that steps up by 20 % for another reason: the clock stays, and it is cool. One sign is not enough."""
    trace = warm_device(random, readings)
    trace.latency_ms[int(random.uniform(0.3, 0.7) * readings) :] *= 1.2
    return trace


def hot_but_steady(random: np.random.Generator, readings: int = 120) -> Trace:
    """A device at its trip point whose cooling holds: clock and latency stay."""
    trip = random.uniform(70, 95)
    return _device(random, readings, end=trip - random.uniform(0, 4), trip=trip)


def _device(random: np.random.Generator, readings: int, *, end: float, trip: float) -> Trace:
    begin = random.uniform(35, 50)
    celsius = end - (end - begin) * np.exp(-np.arange(readings) / (0.15 * readings))
    top = random.choice([1500.0, 2400.0, 3600.0])
    mhz = top * (1 - 0.01 * np.abs(related(random, readings, 0.5)))
    latency = random.uniform(2, 40) * np.exp(0.04 * related(random, readings, 0.5))
    celsius = np.round(celsius + 0.4 * related(random, readings, 0.5), 1)
    return Trace(latency_ms=latency, sensors=Sensors(mhz=mhz, celsius={"cpu": celsius}, trips={"cpu": trip}))
