"""Lifting a network to a newer version of the ONNX operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import copy_of, first_line, onnx_for, opset_of
from edgeproof.optimize import PassResult

if TYPE_CHECKING:
    import onnx


def to_opset(model: onnx.ModelProto, minimum: int) -> PassResult:
    """Write a network in operators of at least version `minimum`; one that is newer stays as it is.

    Raises:
        ModelError: an operator in it can't be lifted.
    """
    onnx = onnx_for("Lifting a network to newer operators")
    version = opset_of(model)
    if version >= minimum:
        return PassResult(copy_of(model), False, ())
    try:
        lifted = onnx.version_converter.convert_version(copy_of(model), minimum)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The network is written in opset {version} and can't be lifted to {minimum}: "
            f"{first_line(error)}.",
            hint=f"Export it again with opset {minimum} or later.",
        ) from error
    return PassResult(lifted, True, (f"The operators were lifted from opset {version} to {minimum}.",))
