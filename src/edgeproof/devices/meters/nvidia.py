"""NVIDIA graphics cards, asked through their driver's NVML."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from edgeproof.core.errors import EdgeproofError, MissingExtraError
from edgeproof.core.extras import require
from edgeproof.devices.meters.meter import Energy
from edgeproof.devices.meters.sampling import SampledMeter
from edgeproof.devices.sysfs import read_text

# The counter must move far enough that its steps of 20 to 100 ms don't matter.
_SHORTEST_S = 1.0


class Nvidia(SampledMeter):
    """One graphics card: its energy counter where it has one (since Volta), else its power, read 10 times a second.

    Source: NVML API reference, nvmlDeviceGetTotalEnergyConsumption (mJ) and nvmlDeviceGetPowerUsage (mW).

    Arguments:
        index: the card's number, in the order of the PCI bus, as NVML and nvidia-smi count.
        model: the card's name.
    """

    interval_s = 0.1

    def __init__(self, index: int, model: str) -> None:
        self._index = index
        self.name = f"nvidia-{index}"
        self.scope = f"graphics card {index} ({model}) alone"
        self._opened: tuple[ModuleType, Any] | None = None
        self._millijoules: int | None = None

    def missing(self) -> str | None:
        """What stands in the way of reading it now and what to do; None where nothing does."""
        try:
            nvml, card = self._open()
        except MissingExtraError as error:
            return error.hint
        except EdgeproofError as error:
            return str(error)
        return (
            None
            if _ask(nvml, "nvmlDeviceGetPowerUsage", card) is not None
            else "The card doesn't tell its power."
        )

    def watts(self) -> float | None:
        """The card's power now; None where it doesn't tell."""
        try:
            nvml, card = self._open()
        except EdgeproofError:
            return None
        milliwatts = _ask(nvml, "nvmlDeviceGetPowerUsage", card)
        return None if milliwatts is None else milliwatts / 1000

    def start(self) -> None:
        """Begin; what was measured before is forgotten."""
        super().start()
        self._millijoules = self._counter()

    def stop(self) -> Energy:
        """End, and say what was measured: by the counter where there is one and the run was long enough for it.

        Raises:
            UsageError: it was not started.
        """
        after = self._counter()
        sampled = super().stop()
        before, self._millijoules = self._millijoules, None
        if before is None or after is None or after <= before or sampled.seconds < _SHORTEST_S:
            return sampled
        return Energy((after - before) / 1000, sampled.seconds, sampled.samples, sampled.rate_hz)

    def _counter(self) -> int | None:
        try:
            nvml, card = self._open()
        except EdgeproofError:
            return None
        return _ask(nvml, "nvmlDeviceGetTotalEnergyConsumption", card)

    def _open(self) -> tuple[ModuleType, Any]:
        if self._opened is None:
            nvml = require("pynvml", extra="nvidia", purpose="Reading a graphics card's power")
            try:
                nvml.nvmlInit()  # never shut down: another part of the program may use it too
                self._opened = nvml, nvml.nvmlDeviceGetHandleByIndex(self._index)
            except nvml.NVMLError as error:
                raise EdgeproofError(
                    f"The driver doesn't answer: {error}.", hint="Does nvidia-smi work?"
                ) from error
        return self._opened


def nvidia_cards(root: Path = Path("/")) -> list[Nvidia]:
    """A meter for each card that the driver shows; nothing is imported for it."""
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*"))
    return [
        Nvidia(number, _model(read_text(card / "information") or "")) for number, card in enumerate(cards)
    ]


def _ask(nvml: ModuleType, question: str, card: Any) -> int | None:
    try:
        return int(getattr(nvml, question)(card))
    except nvml.NVMLError:
        return None


def _model(information: str) -> str:
    found = re.search(r"^Model:\s*(\S.*)$", information, re.MULTILINE)
    return found[1].strip() if found else "NVIDIA"
