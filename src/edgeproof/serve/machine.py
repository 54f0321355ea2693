"""The heat and the power of the machine, as its own sensors tell them when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeproof.devices.meters.meter import Meter
from edgeproof.serve.metrics import gauge


def _meters() -> Sequence[Meter]:
    from edgeproof.devices.meters import meters  # a service that nobody asks for /metrics does without

    return meters()


class Machine:
    """Temperatures and watts, where this machine shows them. Meters are not verified on hardware.

    Arguments:
        root: what stands for `/`; a made-up tree in tests.
        find: the meters that can be read.
    """

    def __init__(self, root: Path = Path("/"), find: Callable[[], Sequence[Meter]] = _meters) -> None:
        self._root, self._find = root, find
        self._meters: Sequence[Meter] | None = None
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        """As Prometheus reads it; nothing of what isn't measured."""
        with self._lock:
            return [*self._heat(), *self._power()]

    def _heat(self) -> Iterator[str]:
        from edgeproof.devices.thermal import thermal_zones

        heat = {(zone.name,): zone.celsius for zone in thermal_zones(self._root) if zone.celsius is not None}
        return gauge("edgeproof_temperature_celsius", "Thermal zones.", ("zone",), heat)

    def _power(self) -> Iterator[str]:
        from edgeproof.devices.meters.sampling import SampledMeter

        meters = self._meters if self._meters is not None else self._find()
        watts: dict[tuple[str, ...], float] = {}
        for meter in meters:
            if isinstance(meter, SampledMeter):
                mean = meter.watts()
            else:  # a counter of energy tells no power of the moment: the mean since it was asked last
                mean = None if self._meters is None else meter.stop().watts
                meter.start()
            if mean is not None:
                watts[(meter.name,)] = mean
        self._meters = meters
        about = "Power now; of counters of energy the mean since /metrics was asked last."
        return gauge("edgeproof_power_watts", about, ("meter",), watts)
