"""Lifting a network to a newer version of the ONNX operators, as a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproof.formats.opset import lift
from edgeproof.optimize import PassResult

if TYPE_CHECKING:
    import onnx


def to_opset(model: onnx.ModelProto, minimum: int) -> PassResult:
    """Write a network in operators of at least version `minimum`; one that is newer stays as it is.

    Raises:
        ModelError: an operator in it can't be lifted.
    """
    lifted, notes = lift(model, minimum)
    return PassResult(lifted, bool(notes), notes)
