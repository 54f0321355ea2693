"""Whether a converted network answers as the original does, run by the runtime of the original's own format."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeproof.core.errors import EdgeproofError, EngineError, InputError, ModelError
from edgeproof.core.files import write_atomically
from edgeproof.core.protocols import Engine
from edgeproof.core.tensor import Array, Tensors, TensorSpec
from edgeproof.engines import ENGINES, open_engine
from edgeproof.formats import format_of
from edgeproof.formats.graph import value_of
from edgeproof.formats.onnx import load_model
from edgeproof.verify.outputs import OutputDifference, compare_outputs

if TYPE_CHECKING:
    import onnx

# For ONNX the lifted operators are compared with the file as it came.
NATIVE = {"onnx": "onnxruntime", "caffe": "opencv", "tflite": "litert"}

# Shares of the largest value of an output. Float: sums in another order, some hundred roundings of 2^-24. Weights of
# half precision: two steps of their own rounding, 2^-11. Quantised: where two runtimes round a tie differently a value
# moves by one step, 1/255 of its range, and layers add up.
TOLERANCE, HALF_TOLERANCE, QUANTISED_TOLERANCE = 1e-4, 1e-3, 5e-2
_REORDER = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
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
    """

    verdict: str
    differences: tuple[OutputDifference, ...] = ()
    tolerance: float = TOLERANCE
    inputs: int = 0
    reason: str = ""
    failing: Tensors | None = None


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
    if native is None or native not in ENGINES:
        return ConversionCheck(
            "not checked",
            reason=f"No engine here runs {kind} files as they are: compare some answers with the program it came from.",
        )
    network = load_model(model)
    tolerance, ranges = _tolerance(network), _quantised_ranges(network)
    with open_engine(model) as converted:
        try:
            original = open_engine(source, engine=native, options=_options(native, converted))
        except EdgeproofError as error:
            return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
        with original:
            return _compare_all(original, converted, inputs, tolerance, ranges)


def _options(native: str, converted: Engine) -> dict[str, bool]:
    # LiteRT hides a quantised network's integers, unless the copy works with the same ones.
    integers = any(spec.dtype in ("uint8", "int8") for spec in converted.inputs)
    return {"raw": True} if native == "litert" and integers else {}


def _tolerance(model: onnx.ModelProto) -> float:
    if {node.op_type for node in model.graph.node} & _QUANTISED:
        return QUANTISED_TOLERANCE
    weights = [value_of(tensor) for tensor in model.graph.initializer if len(tensor.dims) > 1]
    weights = [values for values in weights if values.dtype.kind == "f"]
    return HALF_TOLERANCE if weights and all(map(_is_half, weights)) else TOLERANCE


def _quantised_ranges(model: onnx.ModelProto) -> dict[str, float]:
    """How far apart the values of each 8-bit output can be: 255 steps of its scale.

    The largest value seen says less: a softmax of many classes seldom gets near its 1, and one step of 1/256
    is then a large share of what is there.
    """
    made = {name: node for node in model.graph.node for name in node.output}
    scales = {tensor.name: value_of(tensor) for tensor in model.graph.initializer if not tensor.dims}
    ranges = {}
    for output in model.graph.output:
        node = made.get(output.name)
        while node is not None and node.op_type in _REORDER:
            node = made.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear" and node.input[1] in scales:
            ranges[output.name] = 255.0 * float(scales[node.input[1]])
    return ranges


def _is_half(values: Array) -> bool:
    """Whether each value is one that float16 has."""
    with np.errstate(over="ignore"):
        return np.array_equal(values, values.astype(np.float16))


def _compare_all(
    original: Engine,
    converted: Engine,
    inputs: Iterable[Tensors],
    tolerance: float,
    ranges: Mapping[str, float],
) -> ConversionCheck:
    worst: dict[str, OutputDifference] = {}
    compared, why, failing = 0, "", None
    for feeds in inputs:
        try:
            reference = original.run(_native_feeds(original.inputs, converted.inputs, feeds))
        except (EngineError, InputError) as error:
            return ConversionCheck("not checked", tolerance=tolerance, reason=str(error))
        if any(np.isnan(values).any() for values in reference.values() if values.dtype.kind == "f"):
            continue  # the original itself can't take this input, so it shows nothing
        try:
            answer = converted.run(feeds)
            found = compare_outputs(_named_alike(reference, answer), answer)
        except (ModelError, EngineError) as error:
            return ConversionCheck(
                "differs", tuple(worst.values()), tolerance, compared + 1, str(error), failing=feeds
            )
        compared += 1
        for difference in found:
            before = worst.get(difference.output, difference)
            worst[difference.output] = _worse(before, difference)
            allowed = tolerance * ranges.get(difference.output, 0.0)
            if not (difference.max_rel <= tolerance or difference.max_abs <= allowed) and failing is None:
                failing = feeds
                why = (
                    f"Output {difference.output!r} is {difference.max_rel:.2g} of its largest value away from the "
                    f"original's, more than {tolerance:g}."
                )
    if not compared:
        return ConversionCheck(
            "not checked",
            tolerance=tolerance,
            reason="The original answers NaN to every input that was tried: give photos it was made for with --data.",
        )
    differences = tuple(worst.values())
    return ConversionCheck(
        "differs" if failing is not None else "ok", differences, tolerance, compared, why, failing
    )


def _worse(one: OutputDifference, other: OutputDifference) -> OutputDifference:
    return OutputDifference(
        one.output,
        max(one.max_abs, other.max_abs),
        max(one.max_rel, other.max_rel),
        min(one.cosine, other.cosine),
    )


def _native_feeds(
    native: Sequence[TensorSpec], converted: Sequence[TensorSpec], feeds: Tensors
) -> dict[str, Array]:
    """The feeds under the original's names and in its layout: other formats put the channels last."""
    if len(native) != len(converted):
        raise InputError(
            f"The original has {len(native)} inputs and its copy {len(converted)}.",
            hint="They can't be given the same pictures, so nothing was compared.",
        )
    by_name = {spec.name for spec in native} == set(feeds)
    made = {}
    for wanted, copy in zip(native, converted, strict=True):
        array = feeds[wanted.name if by_name else copy.name]
        made[wanted.name] = array
        if not wanted.accepts(array.shape) and array.ndim == 4:
            layouts = (array.transpose(0, 2, 3, 1), array.transpose(0, 3, 1, 2))
            fits = (layout for layout in layouts if wanted.accepts(layout.shape))
            made[wanted.name] = np.ascontiguousarray(next(fits, array))
    return made


def _named_alike(reference: Tensors, answer: Tensors) -> dict[str, Array]:
    """The original's outputs under the copy's names; by place where a format has no names of its own."""
    if set(reference) == set(answer):
        return {name: _laid_out_as(reference[name], answer[name].shape) for name in answer}
    if len(reference) != len(answer):
        return dict(reference)
    pairs = zip(answer.items(), reference.values(), strict=True)
    return {name: _laid_out_as(values, array.shape) for (name, array), values in pairs}


def _laid_out_as(array: Array, shape: tuple[int, ...]) -> Array:
    """`array` in another layout: with other axes of size 1, its channels elsewhere, or without empty rows."""
    if array.shape == shape:
        return array
    if [size for size in array.shape if size != 1] == [size for size in shape if size != 1]:
        return array.reshape(shape) if math.prod(array.shape) == math.prod(shape) else array
    if array.ndim == 4:
        for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
            turned: Array = array.transpose(order)
            if turned.shape == shape:
                return turned
        if array.shape[:2] + array.shape[3:] == shape[:2] + shape[3:]:
            # OpenCV fills its table of detections up with zeros (DetectionOutput).
            rows = np.flatnonzero(array.any(axis=(0, 1, 3)))
            return array[:, :, : rows[-1] + 1 if rows.size else 0]
    return array


def save_failing(feeds: Tensors, path: Path) -> None:
    """Keep an input as an .npz file, whole or not at all.

    Raises:
        StorageError: disk full, or no permission.
    """
    buffer = io.BytesIO()
    # An .npz by hand: numpy's savez takes names as arguments, and a network may call its input "file".
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in feeds.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
    write_atomically(path, buffer.getvalue())
