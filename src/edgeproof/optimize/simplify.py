"""Graph clean-up: the same answers with fewer nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import copy_of, onnx_for
from edgeproof.formats.onnx import check_model
from edgeproof.optimize import PassResult
from edgeproof.optimize.rules.batchnorm import fold_batch_norms
from edgeproof.optimize.rules.constants import fold_constants, store_constants
from edgeproof.optimize.rules.identities import drop_identities
from edgeproof.optimize.rules.normalisation import fold_normalisation
from edgeproof.optimize.rules.pads import merge_pads
from edgeproof.optimize.rules.unused import (
    drop_domains,
    drop_nodes,
    drop_tensors,
    drop_weights_from_inputs,
    share_constants,
)

if TYPE_CHECKING:
    import onnx

# A rule changes the private copy that it is given and answers how often it applied.
_RULES: tuple[tuple[Callable[[onnx.ModelProto], int], str], ...] = (
    (drop_weights_from_inputs, "Weights no longer listed as inputs of the network: {}."),
    (store_constants, "Constant nodes turned into stored tensors: {}."),
    (fold_constants, "Nodes computed once and for all, as all they take is known: {}."),
    (drop_identities, "Identity and Dropout nodes removed: {}."),
    (merge_pads, "Pad nodes merged into the convolutions after them: {}."),
    (fold_batch_norms, "Batch normalisations folded into the convolutions before them: {}."),
    (fold_normalisation, "Input scalings or shifts folded into the convolution after them: {}."),
    (drop_nodes, "Nodes that no output needs removed: {}."),
    (share_constants, "Stored tensors that repeat another one removed: {}."),
    (drop_tensors, "Stored tensors that nothing uses removed: {}."),
    (drop_domains, "Operator sets that nothing uses removed: {}."),
)
_MOST_ROUNDS = 1000  # every rule takes something away, so this only stops a rule with a mistake in it


def simplify(model: onnx.ModelProto) -> PassResult:
    """Apply every clean-up rule until none applies; the graph's inputs and outputs stay as they are.

    Outputs agree to float32 rounding (weights are refolded in float64).

    Raises:
        ModelError: the network breaks the rules of ONNX.
        MissingExtraError: onnx is not installed.
    """
    onnx_for("Simplifying a network")
    check_model(model, "The network")
    copy = copy_of(model)
    applied = [0] * len(_RULES)
    for _ in range(_MOST_ROUNDS):
        counts = [rule(copy) for rule, _ in _RULES]
        applied = [total + count for total, count in zip(applied, counts, strict=True)]
        if not any(counts):
            break
    else:
        raise ModelError(
            "Simplifying the network did not come to an end.", hint="Please report this network."
        )
    notes = tuple(text.format(count) for (_, text), count in zip(_RULES, applied, strict=True) if count)
    return PassResult(copy, bool(notes), notes or ("There was nothing to simplify.",))
