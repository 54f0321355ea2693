"""The energy of a run, where the machine has a meter that can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeproof.devices.meters import Meter, idle_watts, meters
from edgeproof.measure.process import WorkerProcess
from edgeproof.measure.runs import Run
from edgeproof.measure.runs_file import EnergyRecord, Measured

_STRETCHES = 3  # of as many processes
_UPDATES = 20  # of the meter, in each stretch
_SHORTEST_S, _LONGEST_S = 0.5, 20.0
_IDLE_S = 1.0
_TIMEOUT_S = 300.0


@dataclass
class _Sum:
    joules: float = 0.0
    runs: int = 0
    seconds: float = 0.0
    reason: str | None = None
    stretches: int = 0


class EnergyMeasurer:
    """Measures stretches of runs with the machine's best meter; without one it does nothing.

    A block of some 60 ms is shorter than what most meters resolve, so energy has runs of its own, which are not among
    the latencies.

    Arguments:
        root: what stands for `/`; a made-up tree in tests.
        meter: the one to use; None for the machine's best.
    """

    def __init__(self, root: Path = Path("/"), meter: Meter | None = None) -> None:
        self._meter = meter or next(iter(meters(root)), None)
        self._sums: dict[str, _Sum] = {}
        self._idle: float | None = None

    @property
    def _measures(self) -> bool:
        """Not so where a stated wattage is all there is: it has no rest, and no readings to wait for."""
        return self._meter is not None and math.isfinite(self._meter.interval_s)

    def measure(self, run: Run, worker: WorkerProcess) -> None:
        """One stretch of runs in an open process, if another is wanted."""
        if self._meter is None or not run.blocks:
            return
        total = self._sums.setdefault(run.variant.id, _Sum())
        if total.stretches >= _STRETCHES:
            return
        if not self._sums or self._idle is None:
            self._idle = idle_watts(self._meter, _IDLE_S) if self._measures else None
        enough = _UPDATES * self._meter.interval_s if self._measures else 0.0
        wanted = float(np.clip(enough, _SHORTEST_S, _LONGEST_S))
        count = max(1, int(1e3 * wanted / float(np.median(run.blocks[-1]))))
        self._meter.start()
        try:
            worker.ask({"do": "time", "runs": count}, _TIMEOUT_S)
        finally:
            energy = self._meter.stop()
        total.stretches += 1
        if energy.joules is None:
            total.reason = energy.reason or f"{self._meter.name} gave no figure"
        else:
            total.joules += energy.joules
            total.runs += count
            total.seconds += energy.seconds

    def fill(self, variants: Sequence[Measured]) -> None:
        """Write what was measured into the variants."""
        if self._meter is None:
            return
        about = {
            "meter": self._meter.name,
            "scope": self._meter.scope,
            "interval_s": self._meter.interval_s if self._measures else None,
        }
        for variant in variants:
            total = self._sums.get(variant.id, _Sum(reason="not measured"))
            known = total.runs > 0
            variant.energy = EnergyRecord(
                **about,  # type: ignore[arg-type]
                joules=total.joules if known else None,
                runs=total.runs,
                seconds=total.seconds,
                idle_watts=self._idle,
                reason=None if known else total.reason,
            )
