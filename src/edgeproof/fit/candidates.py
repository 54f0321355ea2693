"""The candidate space: how a network could be made faster or smaller here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ORIGINAL, CLEAN = "f32", "f32-clean"
CALIBRATIONS = ("minmax", "percentile", "mse")


@dataclass(frozen=True)
class Recipe:
    """One way to make a model file out of the original.

    Attributes:
        name: unique, part of the candidates' ids.
        precision: "f32", "fp16-weights" or "int8".
        quantizer: how an INT8 file was made, else None.
        step: the builder's request that makes it; None for the original.
        calibration: the calibration method that it needs, else None.
        tolerance: largest relative difference of its golden outputs that is still the same computation, on
            another build of the runtime or another processor.
    """

    name: str
    precision: str
    quantizer: str | None
    step: str | None
    calibration: str | None = None
    tolerance: float = 1e-3


@dataclass(frozen=True)
class Candidate:
    """A recipe's file run in one way; `id` is unique."""

    recipe: Recipe
    engine: str
    threads: int

    @property
    def id(self) -> str:
        """As in CONTRACT, like `ort-int8-mse-t1`."""
        short = {"onnxruntime": "ort"}.get(self.engine, self.engine)
        return f"{short}-{self.recipe.name}-t{self.threads}"


RECIPES: tuple[Recipe, ...] = (
    Recipe(ORIGINAL, "f32", None, None),
    Recipe(CLEAN, "f32", None, "simplify"),
    Recipe("fp16w", "fp16-weights", None, "fp16"),
    Recipe("int8-dynamic", "int8", "dynamic", "dynamic", tolerance=0.05),
    *(
        Recipe(f"int8-{method}", "int8", f"static-{method}", "static", calibration=method, tolerance=0.05)
        for method in CALIBRATIONS
    ),
)


def plan(threads: Sequence[int]) -> list[Candidate]:
    """Every recipe with every number of threads, the baseline (the original in one thread) first."""
    return [Candidate(recipe, "onnxruntime", count) for recipe in RECIPES for count in sorted({1, *threads})]


@dataclass(frozen=True)
class Built:
    """A model file that was made.

    Attributes:
        model: the file.
        notes: what the passes did, in words.
    """

    model: Path
    notes: tuple[str, ...] = ()
