"""Whether a converted network answers as the original does, each run by the runtime of its own format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import EdgeproofError, EngineError, InputError, MissingExtraError, ModelError
from edgeproof.core.files import write_atomically
from edgeproof.core.options import Options
from edgeproof.core.protocols import Engine
from edgeproof.core.tensor import Array, Tensors
from edgeproof.engines import ENGINES, open_engine
from edgeproof.formats import format_of
from edgeproof.formats.graph import value_of
from edgeproof.formats.onnx import load_model
from edgeproof.formats.tensors import npz_bytes
from edgeproof.verify.matching import feeds_for, named_alike
from edgeproof.verify.outputs import OutputDifference, compare_outputs
from edgeproof.verify.reference import KINDS as REFERENCES
from edgeproof.verify.reference import Reference

if TYPE_CHECKING:
    import onnx

# For ONNX the lifted operators are compared with the file as it came.
NATIVE = {"onnx": "onnxruntime", "caffe": "opencv", "tflite": "litert", "torch": "torch"}

# Shares of the largest value of an output. Float: sums in another order, some hundred roundings of 2^-24. Weights of
# half precision: two steps of their own rounding, 2^-11. Quantised: where two runtimes round a tie differently a value
# moves by one step, 1/255 of its range, and layers add up.
TOLERANCE, HALF_TOLERANCE, QUANTISED_TOLERANCE = 1e-4, 1e-3, 5e-2
# Another runtime's kernels: Winograd convolutions and approximated exponentials add to that, 4e-4 at most on the
# detectors that were tried.
EXPORT_TOLERANCE = 1e-3
_REORDER = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
_UP_TO_ONE = frozenset({"Sigmoid", "HardSigmoid", "Softmax"})
_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger"})


@dataclass(frozen=True)
class ConversionCheck:
    """What came of comparing a converted network with the original.

    Attributes:
        verdict: "ok", "differs" or "not checked".
        differences: the worst of each output over all inputs; empty where nothing was compared.
        tolerance: the most that `max_rel` of an output may be.
        inputs: how many inputs were compared.
        reason: why it differs or was not checked, and what to do; empty for "ok".
        failing: the first input over the tolerance.
        top1: the share of rows in which both put the largest value at the same place, for each output that is one row
            of scores for each picture: shape (N, C), C at least 2.
    """

    verdict: str
    differences: tuple[OutputDifference, ...] = ()
    tolerance: float = TOLERANCE
    inputs: int = 0
    reason: str = ""
    failing: Tensors | None = None
    top1: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """What CONTRACT's document of `import` and `export` says of the check."""
        checks = [
            {
                "output": found.output,
                "max_abs": found.max_abs,
                "max_rel": found.max_rel,
                "cosine": found.cosine,
                "top1": self.top1.get(found.output),
            }
            for found in self.differences
        ]
        return {
            "checks": checks,
            "verdict": self.verdict,
            "reason": self.reason or None,
            "tolerance": self.tolerance,
            "inputs": self.inputs,
        }


def check_conversion(
    source: str | os.PathLike[str], model: str | os.PathLike[str], inputs: Iterable[Tensors]
) -> ConversionCheck:
    """Run the original and the converted network on the same inputs and compare every output.

    Arguments:
        source: the original, in a format of `edgeproof.formats`.
        model: the .onnx file made from it.
        inputs: feeds of the .onnx file; see `edgeproof.verify.samples.sample_inputs`.

    Raises:
        ModelError: the .onnx file can't be opened. That the original can't be run here is "not checked".
    """
    kind = format_of(source)
    native = NATIVE.get(kind)
    if native not in ENGINES and kind not in REFERENCES:
        return ConversionCheck(
            "not checked",
            reason=f"No engine here runs {kind} files as they are: compare some answers with the program it came from.",
        )
    network = load_model(model)
    tolerance, ranges = _tolerance(network), known_ranges(network)
    with open_engine(model) as converted:
        try:
            original = (
                Reference(kind, Path(source), converted.inputs)
                if native is None
                else open_engine(source, engine=native, options=_options(native, source, converted))
            )
        except EdgeproofError as error:
            return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
        with original:
            return _compare_all(original, converted, inputs, tolerance, ranges, like=converted)


def check_export(
    model: str | os.PathLike[str],
    made: str | os.PathLike[str],
    engine: str,
    inputs: Iterable[Tensors],
    *,
    device: str = "cpu",
    at_least: float = EXPORT_TOLERANCE,
) -> ConversionCheck:
    """Run an .onnx file in ONNX Runtime and what was made of it in its own runtime, and compare every output.

    Arguments:
        model: the .onnx file.
        made: the file made of it.
        engine, device: what opens that, see `edgeproof.engines.open_engine`.
        inputs: feeds of the .onnx file; see `edgeproof.verify.samples.sample_inputs`.
        at_least: a tolerance below which the runtime can't be held to; it counts where the network's own is tighter.

    A runtime that is not installed here is "not checked"; one that can't open the file is "differs".
    """
    network = load_model(model)
    tolerance, ranges = max(_tolerance(network), at_least), known_ranges(network)
    try:
        original = open_engine(model)
    except EdgeproofError as error:
        return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
    with original:
        try:
            converted = open_engine(made, engine=engine, device=device)
        except MissingExtraError as error:
            return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
        except EdgeproofError as error:
            return ConversionCheck("differs", tolerance=tolerance, reason=str(error))
        with converted:
            return _compare_all(original, converted, inputs, tolerance, ranges, like=original)


def _options(native: str, source: str | os.PathLike[str], converted: Engine) -> Options:
    # TorchScript doesn't tell its shapes, and a Caffe file may tell another batch than is compared with.
    if native == "opencv" or (native == "torch" and Path(source).suffix.lower() != ".pt2"):
        shapes = (f"{spec.name}={'x'.join(map(str, spec.shape))}" for spec in converted.inputs)
        return {"input_shape": ",".join(shapes)}
    if (
        native == "onnxruntime"
    ):  # the copy runs in it too: what its optimiser gets wrong would be wrong in both
        return {"graph_level": "off"}
    # LiteRT hides a quantised network's integers, unless the copy works with the same ones.
    integers = any(spec.dtype in ("uint8", "int8") for spec in converted.inputs)
    return {"raw": True} if native == "litert" and integers else {}


def _tolerance(model: onnx.ModelProto) -> float:
    if {node.op_type for node in model.graph.node} & _QUANTISED:
        return QUANTISED_TOLERANCE
    weights = [value_of(tensor) for tensor in model.graph.initializer if len(tensor.dims) > 1]
    weights = [values for values in weights if values.dtype.kind == "f"]
    return HALF_TOLERANCE if weights and all(map(_is_half, weights)) else TOLERANCE


def known_ranges(model: onnx.ModelProto) -> dict[str, float]:
    """How far apart the values of an output can be, where that is known: 1 for what ends in a sigmoid or softmax, 255
    steps of its scale for one of 8 bits.

    The largest value seen says less: a detector that finds nothing gives a few millionths of its 1, and a softmax of
    many classes that is quantised has steps of 1/256, a large share of what is there.
    """
    made = {name: node for node in model.graph.node for name in node.output}
    scales = {tensor.name: value_of(tensor) for tensor in model.graph.initializer if not tensor.dims}
    ranges = {}
    for output in model.graph.output:
        node = made.get(output.name)
        while node is not None and node.op_type in _REORDER:
            node = made.get(node.input[0])
        if node is not None and node.op_type in _UP_TO_ONE:
            ranges[output.name] = 1.0
        elif node is not None and node.op_type == "DequantizeLinear" and node.input[1] in scales:
            ranges[output.name] = 255.0 * float(scales[node.input[1]])
    return ranges


def _is_half(values: Array) -> bool:
    """Whether each value is one that float16 has."""
    with np.errstate(over="ignore"):
        return np.array_equal(values, values.astype(np.float16))


def _compare_all(
    original: Engine | Reference,
    converted: Engine,
    inputs: Iterable[Tensors],
    tolerance: float,
    ranges: Mapping[str, float],
    *,
    like: Engine,
) -> ConversionCheck:
    # `like` is the one of the two that is ONNX: the inputs are made for it, and its names are reported.
    worst: dict[str, OutputDifference] = {}
    agreed: dict[str, list[bool]] = {}
    compared, why, failing = 0, "", None
    for feeds in inputs:
        try:
            reference = original.run(feeds_for(original.inputs, like.inputs, feeds))
        except (EngineError, InputError) as error:
            return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
        if any(np.isnan(values).any() for values in reference.values() if values.dtype.kind == "f"):
            continue  # the original itself can't take this input, so it shows nothing
        try:
            answer = converted.run(feeds_for(converted.inputs, like.inputs, feeds))
            if like is original:
                answer = named_alike(answer, reference)
            else:
                reference = named_alike(reference, answer)
            found = compare_outputs(reference, answer)
        except (ModelError, EngineError) as error:
            return ConversionCheck(
                "differs", tuple(worst.values()), tolerance, compared + 1, str(error), failing=feeds
            )
        compared += 1
        rows = {len(array) for array in feeds.values() if array.ndim}
        for difference in found:
            name = difference.output
            worst[name] = _worse(worst.get(name, difference), difference)
            if _is_scores(reference[name], rows):
                agreed.setdefault(name, []).extend(_same_top(reference[name], answer[name]))
            allowed = tolerance * ranges.get(name, 0.0)
            if not (difference.max_rel <= tolerance or difference.max_abs <= allowed) and failing is None:
                failing = feeds
                why = (
                    f"Output {name!r} is {difference.max_rel:.2g} of its largest value away from the original's, more "
                    f"than {tolerance:g}."
                )
    if not compared:
        return ConversionCheck(
            "not checked",
            tolerance=tolerance,
            reason="The original answers NaN to every input that was tried: give photos it was made for with --data.",
        )
    return ConversionCheck(
        "ok" if failing is None else "differs",
        tuple(worst.values()),
        tolerance,
        compared,
        why,
        failing,
        {name: sum(same) / len(same) for name, same in agreed.items()},
    )


def _worse(one: OutputDifference, other: OutputDifference) -> OutputDifference:
    return OutputDifference(
        one.output,
        max(one.max_abs, other.max_abs),
        max(one.max_rel, other.max_rel),
        min(one.cosine, other.cosine),
    )


def _is_scores(output: Array, rows: set[int]) -> bool:
    """Whether an output has one row of scores for each row of the inputs."""
    return output.dtype.kind == "f" and output.ndim == 2 and output.shape[1] > 1 and rows == {len(output)}


def _same_top(reference: Array, answer: Array) -> list[bool]:
    """For each row whether the answer's first choice is one that the reference has no better than."""
    chosen = answer.argmax(axis=1)
    return list(map(bool, reference[np.arange(len(reference)), chosen] >= reference.max(axis=1)))


def save_failing(feeds: Tensors, path: Path) -> None:
    """Keep an input as an .npz file, whole or not at all.

    Raises:
        StorageError: disk full, or no permission.
    """
    write_atomically(path, npz_bytes(feeds))
