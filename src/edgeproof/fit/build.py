"""Making every recipe's file, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgeproof.core.errors import DataError, EdgeproofError
from edgeproof.fit.candidates import CLEAN, Built, Recipe
from edgeproof.fit.data import CALIBRATION_FEWEST, FitData
from edgeproof.fit.target import Target
from edgeproof.measure.process import WorkerProcess

_TIMEOUT_S = 900.0


def build_all(
    target: Target,
    recipes: Sequence[Recipe],
    data: FitData,
    work: Path,
    *,
    memory_mb: int | None,
    progress: Callable[[], None],
) -> dict[str, Built | EdgeproofError]:
    """Make each recipe's file in `work`; one that fails has its error in the place of the file."""
    made: dict[str, Built | EdgeproofError] = {}
    clean, ranges = work / f"{CLEAN}.onnx", work / "ranges.json"
    for recipe in recipes:
        out = work / f"{recipe.name}.onnx"
        try:
            if recipe.step is None:
                made[recipe.name] = Built(target.model)
                continue
            # All but the clean-up itself start from the cleaned graph, if that could be made.
            source = clean if clean.exists() else target.model
            request: dict[str, Any] = {"do": recipe.step, "model": str(source), "out": str(out)}
            if recipe.calibration:
                if not data.calibration:
                    raise DataError(
                        f"static INT8 needs {CALIBRATION_FEWEST} photos to calibrate with, beside the evidence",
                        hint=f"Give at least {CALIBRATION_FEWEST + 1} photos.",
                    )
                if not ranges.exists():
                    _ask(
                        {
                            "do": "calibrate",
                            "model": str(source),
                            "input": target.input,
                            "rows": str(data.rows),
                            "places": list(data.calibration),
                            "out": str(ranges),
                        },
                        memory_mb,
                    )
                request |= {"ranges": str(ranges), "method": recipe.calibration}
            made[recipe.name] = Built(out, tuple(_ask(request, memory_mb)["notes"]))
        except EdgeproofError as error:
            made[recipe.name] = error
        finally:
            progress()
    return made


def _ask(request: dict[str, Any], memory_mb: int | None) -> dict[str, Any]:
    with WorkerProcess("edgeproof.fit.builder", memory_mb=memory_mb) as worker:
        return worker.ask(request, _TIMEOUT_S)
