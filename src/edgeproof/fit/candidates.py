"""The candidate space: how a network could be made faster or smaller here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ORIGINAL, CLEAN = "f32", "f32-clean"
_COARSE = 0.05
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
    """A recipe's file run in one way; `id` is unique.

    Attributes:
        computes: what the engine is told to compute in, where that isn't the file's own precision.
        fixed_shape: the engine's option of that name; a batch of one is all that a task asks for.
    """

    recipe: Recipe
    engine: str
    threads: int
    computes: str | None = None
    fixed_shape: str = ""

    @property
    def id(self) -> str:
        """As in CONTRACT, like `ort-int8-mse-t1`."""
        short = {"onnxruntime": "ort", "openvino": "ov"}.get(self.engine, self.engine)
        return f"{short}-{self.computes or self.recipe.name}-t{self.threads}"

    @property
    def precision(self) -> str:
        """Of the whole."""
        return self.computes or self.recipe.precision

    @property
    def options(self) -> dict[str, str]:
        """The engine's."""
        asked = {"precision": self.computes or "", "fixed_shape": self.fixed_shape}
        return {name: value for name, value in asked.items() if value}

    @property
    def tolerance(self) -> float:
        """As the recipe's; a processor without this precision computes in a finer one."""
        return max(self.recipe.tolerance, _COARSE) if self.computes else self.recipe.tolerance


RECIPES: tuple[Recipe, ...] = (
    Recipe(ORIGINAL, "f32", None, None),
    Recipe(CLEAN, "f32", None, "simplify"),
    Recipe("fp16w", "fp16-weights", None, "fp16"),
    Recipe("int8-dynamic", "int8", "dynamic", "dynamic", tolerance=_COARSE),
    *(
        Recipe(f"int8-{method}", "int8", f"static-{method}", "static", calibration=method, tolerance=_COARSE)
        for method in CALIBRATIONS
    ),
)


_BF16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
# OpenVINO does the clean-up itself and has no use for weights in halves; one calibration says enough about it.
_FOR_OPENVINO = (ORIGINAL, "int8-mse")


def plan(threads: Sequence[int], isa: Sequence[str], batch: str | None) -> list[Candidate]:
    """Every recipe with every number of threads, the baseline (the original in one thread) first.

    Arguments:
        isa: the processor's instruction sets; bf16 is tried where it has it.
        batch: the name of the network's open batch size, if it has one. Fixed at one it makes OpenVINO a fifth
            quicker (orientation network); ONNX Runtime takes no notice.
    """
    ways: list[tuple[Recipe, str, str | None]] = [(recipe, "onnxruntime", None) for recipe in RECIPES]
    if find_spec("openvino"):
        ways += [(recipe, "openvino", None) for recipe in RECIPES if recipe.name in _FOR_OPENVINO]
        ways += [(RECIPES[0], "openvino", "bf16")] if _BF16 & set(isa) else []
    return [
        Candidate(recipe, engine, count, computes, f"{batch}=1" if batch and engine == "openvino" else "")
        for recipe, engine, computes in ways
        for count in sorted({1, *threads})
    ]


@dataclass(frozen=True)
class Built:
    """A model file that was made.

    Attributes:
        model: the file.
        notes: what the passes did, in words.
    """

    model: Path
    notes: tuple[str, ...] = ()
