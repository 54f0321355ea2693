"""Meters of power and energy, one file for each kind; `meters()` gives those that this machine lets us read.

    from edgeproof.devices.meters import idle_watts, meters

    for meter in meters()[:1]:                    # the best one
        idle = idle_watts(meter, 5.0)
        meter.start()
        ...                                       # the work
        energy = meter.stop()                     # Energy(joules, seconds, samples, rate_hz, ...)
        energy.joules, energy.above_idle(idle)    # None where unknown, never 0

Only on request: `Estimate(watts)`, which measures nothing and says so, and `External(csv)` of meters/external.py, the
trace of a meter at the supply. None of them is verified on hardware: they are written to the documentation of what
they read, and tested on made-up trees of it.
"""

from __future__ import annotations

from pathlib import Path

from edgeproof.devices.command import Runner, run_command
from edgeproof.devices.meters.battery import Battery
from edgeproof.devices.meters.estimate import Estimate
from edgeproof.devices.meters.ina3221 import Ina3221
from edgeproof.devices.meters.meter import Energy, Meter, idle_watts
from edgeproof.devices.meters.nvidia import nvidia_cards
from edgeproof.devices.meters.rapl import Rapl
from edgeproof.devices.meters.raspberry import RaspberryPmic

__all__ = ["Energy", "Estimate", "Meter", "idle_watts", "meters", "present_meters"]


def present_meters(root: Path = Path("/"), runner: Runner = run_command) -> list[Meter]:
    """The meters that this machine has, best first, whether or not this process may read them.

    Best is what covers most of what a run costs, at a pace that short runs need: the whole board, then the processor,
    then a graphics card, then the battery, whose gauge is slow.
    """
    found = (Ina3221(root), RaspberryPmic(root, runner), Rapl(root))
    battery = Battery(root)
    return [
        *(meter for meter in found if meter.present()),
        *nvidia_cards(root),
        *([battery] if battery.present() else []),
    ]


def meters(root: Path = Path("/"), runner: Runner = run_command) -> list[Meter]:
    """The meters that can be read now, best first.

    Arguments:
        root: what stands for `/`; a made-up tree in tests.
        runner: what runs `vcgencmd`; a fake in tests.
    """
    return [meter for meter in present_meters(root, runner) if meter.available()]
