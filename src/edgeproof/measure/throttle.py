"""Whether the device slowed itself down: two of three signs, as each alone has other causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeproof.measure.change import find_step
from edgeproof.measure.statistics import Values

_NEAR_TRIP = 5.0  # degrees: firmware begins a little before the kernel's own limit, and sensors lag
_CLOCK_DOWN = 0.95  # a step of the clock to less than this; smaller ones are between neighbouring states
_SLOWER = 1.05
_CHANCE = 0.01
_FEWEST = 16


@dataclass(frozen=True)
class Sensors:
    """What a machine shows while it works, sampled together.

    Attributes:
        mhz: (n,) the clock; empty where the machine shows none.
        celsius: (n,) for each thermal zone.
        trips: the temperature at which each zone begins to slow the machine; zones without one are left out.
        throttled: (n,) a count that rises when the processor or its firmware slows down; empty where there is none.
    """

    mhz: Values = field(default_factory=lambda: np.empty(0))
    celsius: Mapping[str, Values] = field(default_factory=dict)
    trips: Mapping[str, float] = field(default_factory=dict)
    throttled: Values = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Throttle:
    """The verdict and the three signs; a sign is None where there is no sensor for it.

    Attributes:
        verdict: "throttled", "not throttled" or "not measured" (fewer than two signs can be seen).
    """

    verdict: str
    clock_fell: bool | None
    near_trip: bool | None
    latency_rose: bool | None
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """For the documents of `bench --soak` and `diagnose`."""
        return {
            "verdict": self.verdict,
            "clock_fell": self.clock_fell,
            "near_trip": self.near_trip,
            "latency_rose": self.latency_rose,
            "reasons": list(self.reasons),
        }


def throttle(latencies_ms: Values, sensors: Sensors, seed: int = 0) -> Throttle:
    """Throttled where at least two of three are seen: the clock steps down (or the machine's own count of throttling
    rises), a temperature comes near its trip point, latency steps up.

    Arguments:
        latencies_ms: (n,) typical latency at each time that the sensors were read; empty where nothing was timed.
    """
    signs = (_clock(sensors, seed), _heat(sensors), _latency(latencies_ms, seed))
    seen = [sign for sign in signs if sign is not None]
    reasons = tuple(text for found, text in seen if found)
    calm = "not throttled" if len(seen) >= 2 else "not measured"
    verdict = "throttled" if len(reasons) >= 2 else calm
    clock, trip, latency = (None if sign is None else sign[0] for sign in signs)
    return Throttle(verdict, clock, trip, latency, reasons)


def _clock(sensors: Sensors, seed: int) -> tuple[bool, str] | None:
    counts = sensors.throttled
    if len(counts) >= 2 and counts[-1] > counts[0]:
        return True, f"the machine's own count of throttling rose by {counts[-1] - counts[0]:.0f}"
    if len(sensors.mhz) < _FEWEST:
        return (False, "") if len(counts) >= 2 else None
    step = find_step(sensors.mhz, seed)
    fell = step.p <= _CHANCE and step.ratio < _CLOCK_DOWN
    return fell, f"the clock fell from {step.before:.0f} to {step.after:.0f} MHz"


def _heat(sensors: Sensors) -> tuple[bool, str] | None:
    watched = [
        (name, values) for name, values in sensors.celsius.items() if name in sensors.trips and len(values)
    ]
    if not watched:
        return None
    name, values = min(watched, key=lambda zone: sensors.trips[zone[0]] - zone[1].max())
    hottest, trip = float(values.max()), sensors.trips[name]
    return hottest >= trip - _NEAR_TRIP, f"{name} reached {hottest:.0f} °C, its limit is {trip:.0f} °C"


def _latency(latencies_ms: Values, seed: int) -> tuple[bool, str] | None:
    if len(latencies_ms) < _FEWEST:
        return None
    step = find_step(latencies_ms, seed)
    rose = step.p <= _CHANCE and step.ratio > _SLOWER
    return rose, f"latency rose from {step.before:.3g} to {step.after:.3g} ms"
