"""Lifting a network to a newer version of the ONNX operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import copy_of, first_line, onnx_for, opset_of

if TYPE_CHECKING:
    import onnx


def lift(model: onnx.ModelProto, minimum: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy written in operators of at least version `minimum`, and a note where that changed it.

    Raises:
        ModelError: an operator in it can't be lifted.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Lifting a network to newer operators")
    version = opset_of(model)
    if version >= minimum:
        return copy_of(model), ()
    try:
        lifted = onnx.version_converter.convert_version(copy_of(model), minimum)
    except Exception as error:  # ConvertError, RuntimeError, ValueError: its C++ raises what it likes
        raise ModelError(
            f"The network is written in opset {version} and can't be lifted to {minimum}: "
            f"{first_line(error)}.",
            hint=f"Export it again with opset {minimum} or later.",
        ) from error
    return lifted, (f"The operators were lifted from opset {version} to {minimum}.",)
