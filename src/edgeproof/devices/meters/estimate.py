"""A figure from a stated wattage, for who has no meter and says so."""

from __future__ import annotations

import math
import time

from edgeproof.core.errors import UsageError
from edgeproof.devices.meters.meter import Energy


class Estimate:
    """Time x a wattage that somebody stated; it measures nothing, and its name, scope and figures say so.

    It is never among those that `meters()` finds.

    Arguments:
        watts: the power to assume for the whole run.

    Raises:
        UsageError: that is no power.
    """

    interval_s = math.inf

    def __init__(self, watts: float) -> None:
        if not (math.isfinite(watts) and watts > 0):
            raise UsageError(
                f"{watts} W is no power to estimate with.", hint="State what the board takes, such as 6.5."
            )
        self.name = f"estimate ({watts:g} W stated)"
        self.scope = f"an estimate from the stated {watts:g} W, not measured"
        self._watts = watts
        self._began: float | None = None

    def missing(self) -> str | None:
        """Nothing is needed."""
        return None

    def available(self) -> bool:
        """Always."""
        return True

    def start(self) -> None:
        """Begin."""
        self._began = time.perf_counter()

    def stop(self) -> Energy:
        """End, and multiply.

        Raises:
            UsageError: it was not started.
        """
        if self._began is None:
            raise UsageError("The estimate was not started.", hint="Call start() first.")
        seconds, self._began = time.perf_counter() - self._began, None
        return Energy(self._watts * seconds, seconds, 0, None, estimated=True)
