"""INT8: static (the ranges of activations known beforehand) and dynamic (found again at each run)."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeproof.core.errors import EdgeproofError, ModelError
from edgeproof.core.files import storage_error
from edgeproof.formats.graph import copy_of, first_line, is_op, onnx_for
from edgeproof.formats.onnx import check_model, load_model
from edgeproof.optimize import PassResult
from edgeproof.optimize.placement import place, ready_to_place
from edgeproof.optimize.qdq import QDQWriter
from edgeproof.optimize.rules.unused import drop_domains, drop_nodes, drop_tensors, share_constants

if TYPE_CHECKING:
    import onnx


def static_int8(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> PassResult:
    """Quantise a float32 network: uint8 activations (asymmetric), int8 weights (symmetric, one scale a
    channel).

    The file is in QDQ form: float operators between DequantizeLinear and QuantizeLinear, which the runtime
    fuses into integer kernels. Scheme: Jacob et al. 2018, "Quantization and training of neural networks for
    efficient integer-arithmetic-only inference", arXiv:1712.05877. Run `simplify` first: a Pad or a batch
    normalisation left between two convolutions costs a conversion each.

    Arguments:
        model: the network that the ranges were collected on.
        ranges: tensor name -> (low, high), from `collect_ranges`.

    Raises:
        ModelError: a range is missing or not finite, a weight is NaN or infinite, or the network can't be
        lifted to
            opset 13.
        MissingExtraError: onnx is not installed.
    """
    onnx_for("Quantising a network")
    check_model(model, "The network")
    lifted = ready_to_place(model)
    quantised = lifted.model
    plan = place(quantised)
    if not plan.matrix:
        note = "Nothing to quantise: the network has no convolution or product with a float32 weight."
        return PassResult(copy_of(model), False, (note,))
    QDQWriter(quantised.graph, plan, ranges).rewrite()
    _tidy(quantised)
    check_model(quantised, "The quantised network")
    notes = (
        f"{len(plan.matrix)} convolutions and products and {len(plan.others)} other nodes run in INT8: uint8 "
        "activations, int8 weights with one scale for each channel.",
        _size_note(model, quantised),
    )
    return PassResult(quantised, True, (*lifted.notes, *notes))


def dynamic_int8(model: onnx.ModelProto) -> PassResult:
    """Quantise the weights to 8 bits; the runtime finds the ranges of activations again at each run.

    Needs no samples. ONNX Runtime's own quantiser does it (onnxruntime.quantization.quantize_dynamic).

    Raises:
        ModelError: the network breaks the rules of ONNX, or the quantiser can't take it.
        StorageError: no room for temporary files.
        MissingExtraError: onnx is not installed.
    """
    onnx_for("Quantising a network")
    check_model(model, "The network")
    before = copy_of(model)
    try:
        with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder, _quiet():
            from onnxruntime.quantization import QuantType, quantize_dynamic

            target = Path(folder) / "dynamic.onnx"
            # uint8 weights: ONNX Runtime's ConvInteger has no kernel for int8 ones on the CPU.
            quantize_dynamic(copy_of(model), target, weight_type=QuantType.QUInt8)
            quantised = load_model(target)
    except EdgeproofError:
        raise
    except OSError as error:
        raise storage_error(tempfile.gettempdir(), error) from error
    except Exception as error:  # the quantiser raises whatever its parts raise
        raise ModelError(
            f"ONNX Runtime's dynamic quantiser can't take this network: {first_line(error)}.",
            hint="Simplify it first, or leave this way out.",
        ) from error
    if not any("Integer" in node.op_type or node.domain == "com.microsoft" for node in quantised.graph.node):
        return PassResult(before, False, ("Nothing to quantise: no operator with an 8-bit form.",))
    _tidy(quantised)
    check_model(quantised, "The quantised network")
    notes = [_size_note(model, quantised)]
    if any(is_op(node, "Conv", "ConvInteger") for node in quantised.graph.node):
        notes.append(
            "Dynamic INT8 is usually slower than float32 on convolutions: ranges are found again at each run."
        )
    return PassResult(quantised, True, tuple(notes))


def _tidy(model: onnx.ModelProto) -> None:
    for rule in (drop_nodes, share_constants, drop_tensors, drop_domains):
        rule(model)


def _size_note(before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    return f"{before.ByteSize() / 1e6:.1f} MB became {after.ByteSize() / 1e6:.1f} MB."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the quantiser logs on the root logger and prints: it is advice for its own tools."""
    level = logging.root.manager.disable
    logging.disable(max(level, logging.WARNING))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)
